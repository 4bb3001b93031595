//! The faults in force, and which of them happens next.

use std::time::Duration;

use super::faults::{Endpoint, Fault, FaultKind};

/// The faults in force, in the order they were set: the first that fits a request happens to it.
#[derive(Debug, Default)]
pub(super) struct Script(Vec<Scripted>);

#[derive(Debug)]
struct Scripted {
    fault: Fault,
    /// Boot time.
    until: Option<Duration>,
}

impl Script {
    pub(super) fn add(&mut self, fault: Fault, boot: Duration) {
        let until = fault.lasts.map(|lasts| boot.saturating_add(lasts));
        self.0.push(Scripted { fault, until });
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// What happens to a connection that was just made: whether it is reset.
    pub(super) fn refuses_connection(&mut self, boot: Duration) -> bool {
        self.take(boot, Fault::resets_everything).is_some()
    }

    /// What happens to a request at `endpoint`.
    pub(super) fn strikes(&mut self, endpoint: Endpoint, boot: Duration) -> Option<FaultKind> {
        self.take(boot, |fault| {
            fault.endpoint.is_none_or(|only| only == endpoint)
        })
    }

    fn take(&mut self, boot: Duration, fits: impl Fn(&Fault) -> bool) -> Option<FaultKind> {
        self.0
            .retain(|it| it.fault.times != Some(0) && it.until.is_none_or(|until| boot < until));
        let fault = &mut self.0.iter_mut().find(|it| fits(&it.fault))?.fault;
        if let Some(left) = &mut fault.times {
            *left -= 1;
        }
        Some(fault.kind.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn the_first_that_fits_until_it_is_spent() {
        let mut script = Script::default();
        script.add(Fault::hang().at(Endpoint::Token).times(1), HOUR);
        script.add(Fault::slow(HOUR).lasting(HOUR), HOUR);
        let slow = Some(FaultKind::Slow(HOUR));
        assert_eq!(script.strikes(Endpoint::Jwks, HOUR), slow);
        assert_eq!(script.strikes(Endpoint::Token, HOUR), Some(FaultKind::Hang));
        assert_eq!(script.strikes(Endpoint::Token, HOUR), slow);
        assert_eq!(script.strikes(Endpoint::Token, 2 * HOUR), None);
    }

    #[test]
    fn only_an_outage_of_everything_refuses_connections() {
        let mut script = Script::default();
        script.add(Fault::down().at(Endpoint::Token), HOUR);
        script.add(Fault::hang(), HOUR);
        assert!(!script.refuses_connection(HOUR));
        script.add(Fault::down().times(1), HOUR);
        assert!(script.refuses_connection(HOUR));
        assert!(!script.refuses_connection(HOUR));
        script.clear();
        assert_eq!(script.strikes(Endpoint::Token, HOUR), None);
    }
}

//! Several processes that share one record.

use super::*;

/// One process among several that share a record.
#[derive(Clone, Debug)]
enum Does {
    Reads(usize),
    Renews {
        process: usize,
        lands: bool,
        lifetime: u32,
    },
    Rejects(usize),
    Passes(u64),
}

fn does() -> impl Strategy<Value = Does> {
    prop_oneof![
        2 => (0_usize..3).prop_map(Does::Reads),
        4 => (0_usize..3, any::<bool>(), 30_u32..50_000)
            .prop_map(|(process, lands, lifetime)| Does::Renews { process, lands, lifetime }),
        2 => (0_usize..3).prop_map(Does::Rejects),
        4 => (0_u64..3_600_000).prop_map(Does::Passes),
    ]
}

/// Three processes, and the record that is all they share.
struct Shared {
    states: [State; 3],
    stored: Record,
    now: Now,
    issued: u32,
    /// The end of each token by its number, in boot time.
    ends: Vec<Duration>,
    last_request: Option<Duration>,
}

impl Shared {
    /// What a renewal does under the claim, which only one of them has.
    fn renews(&mut self, process: usize, lands: bool, lifetime: u32) {
        let now = self.now;
        let Some(flying) = self.states[process].begin(now, 1) else {
            return;
        };
        let known = flying.learn(self.stored.clone(), now);
        let landed = match known.plan(now) {
            None => known,
            Some(planned) => {
                if let Some(last) = self.last_request {
                    let since = now.boot - last;
                    assert!(since >= SECOND / 2, "{since:?} after the one before");
                }
                self.last_request = Some(now.boot);
                match lands {
                    true => {
                        let lifetime = Duration::from_secs(lifetime.into());
                        self.ends.push(now.boot + lifetime);
                        self.issued += 1;
                        let answer = jwt(&format!("{}", self.issued), now, lifetime);
                        planned.succeeded(&answer, now, now, 0.5)
                    }
                    false => planned.failed(&down(), false, now, 0.5),
                }
            }
        };
        let generation = self.stored.generation;
        if landed.record().generation >= generation {
            self.stored = landed.record();
        }
        self.states[process] = landed.end(flying.flight(1).unwrap());
    }

    fn end_of(&self, token: &Token) -> Duration {
        self.ends[token.expose().parse::<usize>().unwrap() - 1]
    }

    fn promises(&self) {
        for state in &self.states {
            if let Some(token) = state.token(self.now) {
                assert!(self.now.boot < self.end_of(token), "expired");
            }
        }
        // What the store holds is the newest that was issued, or one that outlived it.
        if let (Some(latest), Some(newest)) = (&self.stored.token, self.ends.last()) {
            let is_newest = latest.token.expose() == self.issued.to_string();
            assert!(is_newest || self.now.boot >= *newest);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn processes_that_share_a_record(events in proptest::collection::vec(does(), 1..80)) {
        let mut world = Shared {
            states: [empty(), empty(), empty()],
            stored: Record::default(),
            now: START,
            issued: 0,
            ends: Vec::new(),
            last_request: None,
        };
        for event in events {
            match event {
                Does::Reads(process) => {
                    let learned = world.states[process].learn(world.stored.clone(), world.now);
                    world.states[process] = learned;
                }
                Does::Renews { process, lands, lifetime } => world.renews(process, lands, lifetime),
                Does::Rejects(process) => {
                    let state = &world.states[process];
                    let latest = state.token(world.now).map(|it| it.access_token.clone());
                    let rejected = latest.and_then(|it| state.reject(&it, world.now));
                    if let Some(rejected) = rejected {
                        world.states[process] = rejected;
                    }
                }
                Does::Passes(millis) => {
                    // Never less than the second that lies between two issues.
                    let by = SECOND + Duration::from_millis(millis);
                    world.now = after(world.now, by);
                }
            }
            world.promises();
        }
    }
}

#[test]
fn a_resource_that_refuses_everything_is_bounded_for_a_fleet() {
    let mut world = Shared {
        states: [empty(), empty(), empty()],
        stored: Record::default(),
        now: START,
        issued: 0,
        ends: Vec::new(),
        last_request: None,
    };
    world.renews(0, true, 43_200);
    for second in 0..24 * 3600_u64 {
        world.now = after(world.now, SECOND);
        let process = usize::try_from(second % 3).unwrap();
        let state = &world.states[process];
        let latest = state.token(world.now).map(|it| it.access_token.clone());
        if let Some(rejected) = latest.and_then(|it| state.reject(&it, world.now)) {
            world.states[process] = rejected;
        }
        world.renews(process, true, 43_200);
    }
    assert!(world.issued <= 40, "{}", world.issued);
}

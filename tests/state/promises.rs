//! What holds under any sequence of events.

use super::*;

/// One thing that happens to a rotator.
#[derive(Clone, Debug)]
enum Event {
    Passes(Duration),
    WallJumps(i32),
    Issues {
        lifetime: u32,
        opaque: bool,
        fraction: f64,
    },
    IssuesSame,
    Fails {
        permanent: bool,
        retry_after: Option<u32>,
        random: f64,
    },
    Rejects,
    Restarts,
    /// A renewal begins and stays under way, until one of the next three.
    Begins,
    BreaksOff,
    Forks,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0_u64..7_200_000).prop_map(|it| Event::Passes(Duration::from_millis(it))),
        2 => (0_u64..40_000).prop_map(|it| Event::Passes(Duration::from_millis(it))),
        1 => (-100_000_i32..100_000).prop_map(Event::WallJumps),
        3 => (1_u32..100_000, any::<bool>(), 0.0..1.0)
            .prop_map(|(lifetime, opaque, fraction)| Event::Issues { lifetime, opaque, fraction }),
        1 => Just(Event::IssuesSame),
        3 => (any::<bool>(), proptest::option::of(0_u32..5000), 0.0..1.0)
            .prop_map(|(permanent, retry_after, random)| Event::Fails {
                permanent,
                retry_after,
                random,
            }),
        2 => Just(Event::Rejects),
        1 => Just(Event::Restarts),
        1 => Just(Event::Begins),
        2 => Just(Event::BreaksOff),
        1 => Just(Event::Forks),
    ]
}

/// The state, and what an onlooker knows of the tokens that were issued.
struct World {
    state: State,
    now: Now,
    process: u32,
    /// The renewal that is under way.
    flying: Option<u64>,
    /// Name and boot time of the end of the latest token.
    latest: Option<(String, Duration)>,
    issued: u32,
}

impl World {
    fn happens(&mut self, event: &Event) {
        match event {
            Event::Passes(by) => self.now = after(self.now, *by),
            Event::WallJumps(seconds) => {
                let wall = self.now.wall.as_millis() + i64::from(*seconds) * 1000;
                self.now.wall = Timestamp::from_millis(wall);
            }
            Event::Issues {
                lifetime,
                opaque,
                fraction,
            } => {
                self.issued += 1;
                let format = match opaque {
                    true => TokenFormat::Opaque,
                    false => TokenFormat::Jwt,
                };
                let lifetime = Duration::from_secs((*lifetime).into());
                let name = format!("t{}", self.issued);
                let answer = token(&name, self.now, lifetime, format);
                self.flies(|state, now| {
                    state.check(&answer, now, now).unwrap();
                    state.succeeded(&answer, now, now, *fraction)
                });
                if self
                    .state
                    .record()
                    .token
                    .is_some_and(|it| it.token.expose() == name)
                {
                    self.latest = Some((name, self.now.boot + lifetime));
                }
            }
            Event::IssuesSame => {
                let Some(issued) = self.state.record().token else {
                    return;
                };
                let answer = jwt(issued.token.expose(), self.now, HOUR);
                self.flies(|state, now| {
                    let error = state.check(&answer, now, now).unwrap_err();
                    state.failed(&error, false, now, 0.5)
                });
            }
            Event::Fails {
                permanent,
                retry_after,
                random,
            } => {
                let error = IssueError {
                    retry_after: retry_after.map(|it| Duration::from_secs(it.into())),
                    ..if *permanent { refused() } else { down() }
                };
                self.flies(|state, now| state.failed(&error, false, now, *random));
            }
            Event::Rejects => {
                if let Some(token) = self.state.token(self.now).cloned()
                    && let Some(next) = self.state.reject(&token.access_token, self.now)
                {
                    self.state = next;
                }
            }
            Event::Restarts => {
                let record = self.state.record();
                self.state = restarted(&self.state, self.now);
                self.flying = None;
                // A new process has the wall clock alone.
                self.latest = record.token.map(|it| {
                    let age = self.now.wall.since(it.token.issued_at);
                    let left = it.token.lifetime().saturating_sub(age);
                    (it.token.expose().to_owned(), self.now.boot + left)
                });
            }
            Event::Begins => {
                if let Some(flying) = self.state.begin(self.now, self.process) {
                    assert_eq!(self.flying, None, "two renewals");
                    self.flying = flying.flight(self.process);
                    self.state = flying;
                }
            }
            Event::BreaksOff => {
                if let Some(flight) = self.flying.take() {
                    self.state = self.state.failed(&down(), false, self.now, 0.5).end(flight);
                }
            }
            Event::Forks => {
                self.process += 1;
                self.flying = None;
            }
        }
    }

    /// One renewal from its claim to its end, if one may start.
    fn flies(&mut self, lands: impl FnOnce(&State, Now) -> State) {
        let Some(flying) = self.state.begin(self.now, self.process) else {
            return;
        };
        assert_eq!(self.flying, None, "two renewals");
        let second = flying.begin(self.now, self.process);
        assert!(second.is_none(), "two renewals");
        let Some(planned) = flying.plan(self.now) else {
            panic!("claimed, and not wanted");
        };
        let landed = lands(&planned, self.now);
        self.state = landed.end(flying.flight(self.process).unwrap());
        assert!(
            self.state.begin(self.now, self.process).is_none(),
            "no pause after an attempt"
        );
    }

    fn promises(&self) {
        let lives = self.latest.as_ref().filter(|(_, end)| self.now.boot < *end);
        let served = match self.state.decide(self.now) {
            Action::Serve(held) | Action::ServeAndRenew(held) => Some(held),
            Action::JoinThenServe(held, _) => Some(held),
            Action::Join(_) | Action::Fail(_) => None,
        };
        if let Some((name, _)) = lives {
            let served = served.expect("a living token was lost").token();
            let former = self.state.record().former;
            let stands_in = former.is_some_and(|it| it.token == *served);
            assert!(served.expose() == name || stands_in, "not the latest");
        }
        if let Some(held) = served {
            let token = held.token();
            assert!(held.age(self.now) < token.lifetime(), "expired");
            if let Some((name, end)) = &self.latest
                && token.expose() == name
            {
                assert!(self.now.boot < *end, "expired");
            }
        }
        // It never stops trying: whatever happened, ten minutes later a renewal that is wanted may
        // start.
        let later = after(self.now, 10 * MINUTE);
        let wanted = !matches!(self.state.decide(later), Action::Serve(_));
        let begins = self.state.begin(later, self.process).is_some();
        assert_eq!(begins, wanted && self.flying.is_none());
        if self.state.token(later).is_none() {
            assert!(wanted, "given up");
        }
        assert!(self.state.next_look(self.now) <= MINUTE);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn promises_hold_whatever_happens(events in proptest::collection::vec(event(), 1..60)) {
        let mut world = World {
                state: empty(),
                now: START,
                process: PROCESS,
                flying: None,
                latest: None,
                issued: 0,
            };
        for event in &events {
            world.happens(event);
            world.promises();
        }
    }

    #[test]
    fn rotation_stays_in_its_range(lifetime in 2_u64..200_000, fraction in 0.0..1.0) {
        // From 2 s: a second lies between two issues, and half of less than 2 s is sooner.
        let lifetime = Duration::from_secs(lifetime);
        let state = empty().succeeded(&jwt("t", START, lifetime), START, START, fraction);
        let (from, to) = if 2 * HOUR <= lifetime / 2 {
            (HOUR, 2 * HOUR)
        } else {
            (lifetime * 3 / 8, lifetime / 2)
        };
        let due = |age: Duration| !matches!(state.decide(at(age)), Action::Serve(_));
        prop_assert!(!due(from.saturating_sub(Duration::from_millis(1))));
        prop_assert!(due(to));
    }
}

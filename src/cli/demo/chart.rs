//! The story drawn over time, as one SVG: a lane for each strategy. Colours are classes that the
//! page defines, so that one drawing serves light and dark.

use std::time::Duration;

use super::chronicle::{Answer, Call, Caller, Chronicle, Operation, Strategy, Wanted};
use super::report::Report;
use super::story::Turn;

/// Draws the whole story.
pub(super) fn chart(chronicle: &Chronicle, report: &Report) -> String {
    let lanes: String = Strategy::ALL
        .into_iter()
        .zip(0_u16..)
        .map(|(strategy, place)| {
            let top = TOP + place * (LANE + LANE_GAP);
            lane(strategy, chronicle, report, f64::from(top))
        })
        .collect();
    format!(
        r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="chart-title">
<title id="chart-title">Operations, tokens and calls of the three strategies over twenty hours</title>
{outage}{axis}{lanes}{rotation}</svg>
"#,
        outage = outage(),
        axis = axis(),
        rotation = rotation(),
    )
}

fn outage() -> String {
    let (from, to) = (x(Turn::Down.at()), x(Turn::Up.at()));
    let (middle, width) = (f64::midpoint(from, to), to - from);
    let height = BOTTOM - HEAD;
    format!(
        r#"<rect class="outage" x="{from:.1}" y="{HEAD}" width="{width:.1}" height="{height}"/>
<text class="turn down" x="{middle:.1}" y="{y}" text-anchor="middle">the service is down for 8 h</text>
"#,
        y = HEAD - 8,
    )
}

/// The two dashed lines of the key rotation.
fn rotation() -> String {
    let line = |turn: Turn, anchor: &str, shift: f64, text: &str| {
        let x = x(turn.at());
        format!(
            r#"<path class="rotation" d="M{x:.1} {HEAD}V{BOTTOM}"/>
<text class="turn" x="{at:.1}" y="{y}" text-anchor="{anchor}">{text}</text>
"#,
            at = x + shift,
            y = HEAD - 8,
        )
    };
    line(Turn::KeyPublished, "end", 4.0, "new key published,")
        + &line(Turn::KeyUsed, "start", -18.0, "in use")
}

fn axis() -> String {
    (0..=20_u32)
        .map(|hour| {
            let x = x(hour * HOUR);
            let label = match hour % 2 {
                0 => format!(
                    r#"<text class="hour" x="{x:.1}" y="{}" text-anchor="middle">{hour} h</text>"#,
                    BOTTOM + 18
                ),
                _ => String::new(),
            };
            format!(r#"<path class="grid" d="M{x:.1} {HEAD}V{BOTTOM}"/>{label}"#) + "\n"
        })
        .collect()
}

fn lane(strategy: Strategy, chronicle: &Chronicle, report: &Report, top: f64) -> String {
    let figures = report.of(strategy);
    let class = match figures.failed {
        0 => "good",
        _ => "bad",
    };
    let calls: Vec<_> = chronicle.calls(strategy).collect();
    let operations: Vec<_> = chronicle.operations(strategy).collect();
    let head = format!(
        r#"<text class="name" x="0" y="{y}">{strategy}</text>
<text class="{class}" x="{RIGHT}" y="{y}" text-anchor="end">{} of {} operations failed</text>
<path class="edge" d="M0 {edge}H{RIGHT}"/>
"#,
        figures.failed,
        figures.operations,
        y = top + 16.0,
        edge = top + 24.0,
    );
    head + &operation_row(&operations, top + 50.0)
        + &token_row(&calls, top + 84.0)
        + &call_row(&calls, top + 108.0)
        + &life_row(strategy, &calls, top + 134.0)
}

/// Ticks: above the line for what succeeded, below it for what failed.
fn operation_row(operations: &[&Operation], y: f64) -> String {
    let ticks = |good: bool, tick: &str| -> String {
        operations
            .iter()
            .filter(|it| it.outcome.is_ok() == good)
            .map(|it| format!("M{:.1} {y}{tick}", x(it.wanted)))
            .collect()
    };
    label("operations", y + 4.0)
        + &format!(r#"<path class="base" d="M{LEFT} {y}H{RIGHT}"/>"#)
        + &path("ok", &ticks(true, "v-16"))
        + &path("fail", &ticks(false, "v16"))
}

/// A dot for each token.
fn token_row(calls: &[&Call], y: f64) -> String {
    let dots: String = issued(calls)
        .map(|(at, _)| {
            format!(
                r#"<circle class="token" cx="{:.1}" cy="{y}" r="3"/>"#,
                x(at)
            )
        })
        .collect();
    label("tokens issued", y + 4.0) + &dots + "\n"
}

/// What the resource server asked the service: tall while a caller waited, short for nobody.
fn call_row(calls: &[&Call], y: f64) -> String {
    let ticks = |caller: Caller, height: u8| -> String {
        calls
            .iter()
            .filter(|call| call.caller == caller && call.wanted != Wanted::Token)
            .map(|call| format!("M{:.1} {:.1}v-{height}", x(call.made), y + 6.0))
            .collect()
    };
    label("resource server\u{2019}s calls", y + 4.0)
        + &path("waited", &ticks(Caller::WaitedFor, 14))
        + &path("background", &ticks(Caller::Background, 7))
}

/// How long the token in hand was still good for.
fn life_row(strategy: Strategy, calls: &[&Call], top: f64) -> String {
    let bottom = top + LIFE;
    let name = label("life left in its token", top + LIFE / 2.0 + 4.0);
    if strategy == Strategy::TokenPerOperation {
        let (x, y) = (LEFT + 8, top + LIFE / 2.0 + 4.0);
        return name
            + &format!(r#"<text class="note" x="{x}" y="{y}">it keeps no token</text>"#)
            + "\n";
    }
    let y = |left: Duration| bottom - LIFE * left.as_secs_f64() / LONGEST_LIFE.as_secs_f64();
    let ends = issued(calls)
        .skip(1)
        .map(|(at, _)| at)
        .chain([Turn::End.at()]);
    let teeth: String = issued(calls)
        .zip(ends)
        .map(|((from, life), to)| {
            let spent = life.min(to.saturating_sub(from));
            let (from, end, to) = (x(from), x(from + spent), x(to));
            let (high, low) = (y(life), y(life - spent));
            format!("M{from:.1} {bottom:.1}V{high:.1}L{end:.1} {low:.1}V{bottom:.1}H{to:.1}")
        })
        .collect();
    let scale = format!(
        r#"<path class="grid" d="M{LEFT} {top}H{RIGHT}M{LEFT} {bottom}H{RIGHT}"/><text class="hour" x="{x}" y="{y}" text-anchor="end">12 h</text>"#,
        x = LEFT - 4,
        y = top + 4.0,
    );
    name + &scale + &path("life", &teeth)
}

/// When tokens were issued, and how long each lives.
fn issued<'a>(calls: &'a [&Call]) -> impl Iterator<Item = (Duration, Duration)> + 'a {
    calls.iter().filter_map(|call| match call.answer {
        Answer::Token(lifetime) => Some((call.made, lifetime)),
        _ => None,
    })
}

fn label(text: &str, y: f64) -> String {
    format!(r#"<text class="row" x="0" y="{y:.1}">{text}</text>"#) + "\n"
}

fn path(class: &str, data: &str) -> String {
    match data {
        "" => String::new(),
        _ => format!(r#"<path class="{class}" d="{data}"/>"#) + "\n",
    }
}

/// Where a time lies on the page.
fn x(at: Duration) -> f64 {
    let width = f64::from(RIGHT - LEFT);
    f64::from(LEFT) + width * at.as_secs_f64() / Turn::End.at().as_secs_f64()
}

const HOUR: Duration = Duration::from_secs(3600);
const LONGEST_LIFE: Duration = Duration::from_secs(12 * 3600);

const WIDTH: u16 = 1210;
/// Where the story starts and ends; names stand left of it.
const LEFT: u16 = 190;
const RIGHT: u16 = WIDTH - 20;
/// Where the grid begins.
const HEAD: u16 = 26;
const TOP: u16 = HEAD + 8;
const LANE: u16 = 198;
const LANE_GAP: u16 = 18;
const BOTTOM: u16 = TOP + 3 * LANE + 2 * LANE_GAP + 6;
const HEIGHT: u16 = BOTTOM + 28;
/// The height of a token's whole life.
const LIFE: f64 = 56.0;

#[cfg(test)]
mod tests {
    use super::super::chronicle::{Event, Failure, What};
    use super::super::report::tests::report;
    use super::*;

    fn chronicle() -> Chronicle {
        let who = Strategy::CachedUntilExpiry;
        let operation = |hour: u32, outcome| {
            let operation = Operation {
                wanted: hour * HOUR,
                over: hour * HOUR,
                outcome,
            };
            What::Operation(who, operation)
        };
        let call = |hour: u32, wanted, caller, answer| {
            let call = Call {
                made: hour * HOUR,
                wanted,
                caller,
                answer,
            };
            What::Call(who, call)
        };
        let mut chronicle = Chronicle::default();
        for what in [
            operation(0, Ok(())),
            operation(10, Ok(())),
            operation(20, Err(Failure::Refused(503))),
            call(0, Wanted::Token, Caller::Client, Answer::Token(HOUR)),
            call(10, Wanted::Token, Caller::Client, Answer::Token(12 * HOUR)),
            call(15, Wanted::Token, Caller::Client, Answer::Failed),
            call(10, Wanted::Keys, Caller::WaitedFor, Answer::Given),
            call(20, Wanted::Keys, Caller::Background, Answer::Given),
        ] {
            let at = Duration::ZERO;
            chronicle.add(Event { at, what });
        }
        chronicle
    }

    #[track_caller]
    fn drawn(svg: &str, part: &str) {
        assert!(svg.contains(part), "{part} is not in {svg}");
    }

    #[test]
    fn everything_that_happened_has_its_mark_at_its_time() {
        let svg = lane(Strategy::CachedUntilExpiry, &chronicle(), &report(), 0.0);
        drawn(&svg, r#"<path class="ok" d="M190.0 50v-16M690.0 50v-16"/>"#);
        drawn(&svg, r#"<path class="fail" d="M1190.0 50v16"/>"#);
        drawn(&svg, r#"<circle class="token" cx="190.0" cy="84" r="3"/>"#);
        drawn(&svg, r#"<circle class="token" cx="690.0" cy="84" r="3"/>"#);
        assert_eq!(svg.matches("<circle").count(), 2);
        drawn(&svg, r#"<path class="waited" d="M690.0 114.0v-14"/>"#);
        drawn(&svg, r#"<path class="background" d="M1190.0 114.0v-7"/>"#);
        drawn(&svg, "98 of 244 operations failed");
    }

    #[test]
    fn life_runs_out_or_starts_anew() {
        let svg = lane(Strategy::CachedUntilExpiry, &chronicle(), &report(), 0.0);
        // An hour out of twelve, gone after an hour; then twelve, of which two are left at the end.
        let short = "M190.0 190.0V185.3L240.0 190.0V190.0H690.0";
        let long = "M690.0 190.0V134.0L1190.0 180.7V190.0H1190.0";
        drawn(&svg, &format!(r#"<path class="life" d="{short}{long}"/>"#));
    }

    #[test]
    fn a_story_without_events_is_drawn_too() {
        let svg = chart(&Chronicle::default(), &report());
        drawn(&svg, "the service is down for 8 h");
        assert_eq!(svg.matches("<svg").count(), 1);
        assert!(svg.ends_with("</svg>\n"));
    }
}

//! The page that `--html` writes: one file, nothing fetched, no script.

use super::chart::chart;
use super::chronicle::{Chronicle, Strategy};
use super::report::{COLUMNS, Report, cells};

/// The whole page.
pub(super) fn page(chronicle: &Chronicle, report: &Report, seed: u64) -> String {
    format!(
        r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>steadfast: an outage of eight hours</title>
<style>{STYLE}</style>
</head>
<body>
<h1>An outage of eight hours, lived through in three ways</h1>
<p>One OAuth service, and three clients with the same work to do at the same irregular times (seed
{seed}), each with a resource server that asks for a bearer token. The service rotates its key, goes
down for eight hours and comes back. Real requests over real sockets, in virtual time: one second is
one hour.</p>
<dl>
<dt>{per_operation}</dt><dd>An opaque token for each operation; the resource server asks the service
about it while the caller waits.</dd>
<dt>{until_expiry}</dt><dd>A JWT of one hour, renewed ten seconds before it expires; keys older than
ten minutes are fetched by the request that finds them so, while its caller waits.</dd>
<dt>{ours}</dt><dd>A JWT of twelve hours, replaced every one to two hours; keys are fetched in the
background, and the latest stay in use.</dd>
</dl>
<div class="wide">
{chart}</div>
{LEGEND}
<div class="wide">
{table}</div>
<p class="small">Calls and key fetches are those that a resource server made or tried. A gap lasts
from when an operation was wanted to the next success. It counts the work itself, too: a
thousandth of a second of this machine is 3.6 s here.</p>
</body>
</html>
"#,
        per_operation = Strategy::TokenPerOperation,
        until_expiry = Strategy::CachedUntilExpiry,
        ours = Strategy::Steadfast,
        chart = chart(chronicle, report),
        table = table(report),
    )
}

fn table(report: &Report) -> String {
    let head: String = COLUMNS
        .iter()
        .map(|column| format!(r#"<th scope="col">{column}</th>"#))
        .collect();
    let rows: String = Strategy::ALL
        .iter()
        .map(|&strategy| row(strategy, report))
        .collect();
    format!("<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n")
}

fn row(strategy: Strategy, report: &Report) -> String {
    let [name, rest @ ..] = cells(strategy, report.of(strategy));
    let rest: String = rest.iter().map(|cell| format!("<td>{cell}</td>")).collect();
    format!(r#"<tr><th scope="row">{name}</th>{rest}</tr>"#) + "\n"
}

const LEGEND: &str = r#"<ul class="legend">
<li><svg viewBox="0 0 12 16"><path class="base" d="M0 15H12"/><path class="ok" d="M6 15V1"/></svg> operation</li>
<li><svg viewBox="0 0 12 16"><path class="base" d="M0 1H12"/><path class="fail" d="M6 1V15"/></svg> failed operation, below the line</li>
<li><svg viewBox="0 0 12 16"><circle class="token" cx="6" cy="8" r="3"/></svg> token issued</li>
<li><svg viewBox="0 0 12 16"><path class="waited" d="M6 15V1"/></svg> call while a caller waited</li>
<li><svg viewBox="0 0 12 16"><path class="background" d="M6 12V5"/></svg> key fetch in the background</li>
<li><svg viewBox="0 0 16 16"><path class="life" d="M1 15V2L15 8V15"/></svg> life left in the token</li>
</ul>"#;

const STYLE: &str = "
:root {
  --paper: #ffffff; --ink: #1b2026; --muted: #5a6570; --line: #e3e7eb; --edge: #b9c1c9;
  --ok: #2563a8; --fail: #c0311a; --token: #0d766c; --waited: #b4560a; --background: #7f8a95;
  --outage: #fbe6e1; --life: #d3e9e5;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181d; --ink: #e7eaed; --muted: #a0abb6; --line: #272e36; --edge: #48525d;
    --ok: #79b1ee; --fail: #ff7d63; --token: #4cc5b6; --waited: #f2a93f; --background: #8a96a2;
    --outage: #38211d; --life: #1d4541;
  }
}
* { box-sizing: border-box; }
body {
  margin: 2rem auto; padding: 0 1.5rem; max-width: 80rem;
  background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif;
}
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .75rem; }
p, dl { max-width: 52rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .35rem 1rem; margin: 1rem 0 1.5rem; }
dt { font-weight: 600; }
dd { margin: 0; }
.wide { overflow-x: auto; }
.wide > svg { display: block; width: 100%; min-width: 56rem; height: auto; }
.small, .legend { color: var(--muted); font-size: .9rem; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .3rem 1.5rem; padding: 0; margin: .75rem 0 1.5rem; }
.legend svg { height: 1rem; width: 1rem; vertical-align: -.15rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .8rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
thead th { color: var(--muted); font-weight: 600; font-size: .9rem; white-space: normal; vertical-align: bottom; border-color: var(--edge); }
th:first-child { text-align: left; padding-left: 0; }
svg text { font: 13px system-ui, sans-serif; fill: var(--muted); }
svg .name { font-size: 16px; font-weight: 600; fill: var(--ink); }
svg .good, svg .bad { font-size: 14px; font-weight: 600; fill: var(--token); }
svg .bad, svg .down { fill: var(--fail); }
svg .hour { font-size: 12px; }
svg path { fill: none; }
.outage { fill: var(--outage); }
.grid { stroke: var(--line); }
.edge { stroke: var(--edge); }
.base { stroke: var(--edge); }
.rotation { stroke: var(--muted); stroke-dasharray: 4 4; }
.ok { stroke: var(--ok); stroke-width: 1.6; }
.fail { stroke: var(--fail); stroke-width: 1.6; }
.token { fill: var(--token); }
.waited { stroke: var(--waited); stroke-width: 1.8; }
.background { stroke: var(--background); stroke-width: 1.6; }
svg .life { fill: var(--life); stroke: var(--token); stroke-width: 1.2; }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; } dd { margin-bottom: .5rem; } }
";

#[cfg(test)]
mod tests {
    use super::super::report::tests::report;
    use super::*;

    #[test]
    fn the_page_has_every_figure_and_fetches_nothing() {
        let page = page(&Chronicle::default(), &report(), 42);
        assert!(page.contains("(seed\n42)"));
        for strategy in Strategy::ALL {
            assert!(page.contains(&row(strategy, &report())), "{strategy}");
        }
        assert!(page.contains(r#"<th scope="row">steadfast</th><td>244</td><td>0</td>"#));
        for foreign in ["//", "<script", "<link", "url(", "src=", "href="] {
            assert!(!page.contains(foreign), "{foreign}");
        }
    }
}

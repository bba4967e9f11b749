"""The look of the report: light and dark, one column on a phone, no font or picture from elsewhere."""

STYLE = """
:root { color-scheme: light dark; --bg: #fff; --ink: #1b1f24; --dim: #59636e; --line: #d6dce2; --card: #f6f8fa;
  --good: #1a7f37; --warn: #9a6700; --bad: #cf222e; --odd: #8250df; --act: #0969da; }
@media (prefers-color-scheme: dark) { :root { --bg: #0d1117; --ink: #e6edf3; --dim: #9198a1; --line: #30363d;
  --card: #161b22; --good: #3fb950; --warn: #d29922; --bad: #f85149; --odd: #ab7df8; --act: #4493f8; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--ink); font: 16px/1.45 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; margin: .2rem 0; } h2 { font-size: 1.15rem; margin: 0 0 .2rem; }
p { margin: .3rem 0; } .sub, small, .age, .state { color: var(--dim); } small { display: block; }
.sum { font-size: 1.2rem; } section { margin: 1.2rem 0; padding: .9rem; background: var(--card);
  border: 1px solid var(--line); border-radius: .6rem; }
.alarm { color: var(--bad); font-weight: 600; }
ol, ul { list-style: none; margin: .4rem 0; padding: 0; }
.steps li { display: grid; grid-template-columns: 4rem 1fr 7.5rem 7rem 4rem; gap: .5rem; padding: .35rem 0;
  border-top: 1px solid var(--line); align-items: baseline; }
.id { font-weight: 600; white-space: nowrap; } .next { color: var(--warn); }
.badge { display: inline-block; padding: 0 .5rem; border: 1px solid currentColor; border-radius: 1rem;
  font-size: .85rem; white-space: nowrap; justify-self: start; color: var(--dim); }
.v-pass { color: var(--good); fill: var(--good); } .v-waived, .v-inconclusive, .v-expired { color: var(--warn);
  fill: var(--warn); } .v-fail, .v-error, .v-broken { color: var(--bad); fill: var(--bad); }
.v-drift { color: var(--odd); fill: var(--odd); } .v-seen { color: var(--dim); fill: var(--dim); }
.v-act { color: var(--act); fill: var(--act); }
details { margin-top: .5rem; } summary { cursor: pointer; padding: .3rem 0; }
.checks > li { padding: .5rem 0; border-top: 1px solid var(--line); }
dl { display: grid; grid-template-columns: 6.5rem 1fr; gap: .1rem .6rem; margin: .3rem 0; font-size: .92rem; }
dt { color: var(--dim); overflow-wrap: anywhere; } dd { margin: 0; overflow-wrap: anywhere; }
.records li { border-top: 1px solid var(--line); } .records details { margin: 0; }
.records summary, .plain { display: grid; grid-template-columns: 3rem 1fr 1.2fr; gap: .5rem; padding: .35rem 0; }
.ending { overflow-wrap: anywhere; display: -webkit-box; -webkit-line-clamp: 3; -webkit-box-orient: vertical;
  overflow: hidden; } .what { overflow-wrap: anywhere; }
pre { overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; background: var(--bg); padding: .6rem;
  border: 1px solid var(--line); border-radius: .4rem; font-size: .8rem; }
svg { width: 100%; max-width: 40rem; height: auto; font: 14px system-ui, sans-serif; } svg text { fill: var(--ink); }
svg .cap { fill: var(--dim); font-size: 13px; } .track { fill: var(--line); } .fill { fill: var(--good); }
.grid { stroke: var(--line); } .legend span { margin-right: .9rem; white-space: nowrap; }
.legend i { display: inline-block; width: .7rem; height: .7rem; border-radius: 50%; background: currentColor;
  margin-right: .3rem; }
a { color: var(--act); }
h3 { font-size: 1rem; margin: 1rem 0 .2rem; } figure { margin: 0; } figure svg { max-width: 28rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)); column-gap: 2rem; }
figcaption, .none { font-size: .92rem; color: var(--dim); } .none { font-weight: 600; }
.checks ul li { font-size: .92rem; overflow-wrap: anywhere; } .codes dd { margin-bottom: .3rem; }
@media (min-width: 40rem) { dl.codes { grid-template-columns: 13rem 1fr; } }
.table li { padding: .4rem .6rem; border-left: .25rem solid var(--line); margin: .3rem 0; }
.table .applies { border-color: var(--act); } .table b { color: var(--act); }
.dot { fill: var(--act); } .bad { fill: var(--bad); } .out { stroke: var(--dim); stroke-width: 1.6; fill: none; }
.pairs { stroke: var(--act); stroke-width: 4; stroke-linecap: round; stroke-opacity: .7; }
.pairs-far { fill: var(--act); } .margin { fill: var(--good); fill-opacity: .13; }
.margin-end { stroke: var(--good); stroke-width: 1; fill: none; } .zero { stroke: var(--dim); stroke-width: 1.2; }
.evening { stroke: var(--line); stroke-dasharray: 1 3; } .look, .need { stroke: var(--ink); stroke-dasharray: 4 3; }
.interval { stroke: var(--ink); stroke-width: 1.6; fill: none; } .estimate { stroke: var(--ink); stroke-width: 3; }
.mean { stroke: var(--ink); stroke-width: 1.4; } .limit { stroke: var(--ink); stroke-dasharray: 6 4; }
.bar { fill: var(--act); } .bound { stroke: var(--ink); stroke-width: 2.4; } .strong { font-weight: 600; }
svg .halo { paint-order: stroke; stroke: var(--card); stroke-width: 4; stroke-linejoin: round; }
.legend i[class^="k-"] { width: auto; height: auto; border-radius: 0; background: none; font-style: normal; }
.k-dot { color: var(--act); } .k-bad { color: var(--bad); } .k-out { color: var(--dim); } .k-look { color: var(--ink); }
.k-margin { color: var(--good); }
@media (max-width: 40rem) { main { padding: .6rem; } section { padding: .7rem; }
  .steps li { grid-template-columns: 4rem 1fr auto; } .steps .what { grid-column: 2 / 4; }
  .steps .state { grid-column: 2; grid-row: 2; } .steps .badge { grid-column: 3; grid-row: 2; }
  .steps .age { grid-column: 2; grid-row: 2; justify-self: end; }
  .records summary, .plain { grid-template-columns: 3rem 1fr; } .ending { grid-column: 2; }
  dl { grid-template-columns: 1fr; } dt { font-size: .8rem; } }
"""

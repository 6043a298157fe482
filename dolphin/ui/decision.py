"""A decision as HTML: the tree that ``dolphin why`` prints, each condition with its values and its outcome."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dolphin.parity.why.telling import condition_text, values_text
from dolphin.report.markup import text
from dolphin.report.numerals import number, significant

#: An outcome's class, its sign and its word.
_OUTCOMES = {True: ("yes", "✓", "yes"), False: ("no", "✗", "no")}


def decision_html(found: dict[str, Any]) -> str:
    """Return a document of :func:`dolphin.parity.why.why` for people."""
    parts = [f'<p class="sentence">{text(found["sentence"])}</p>', *_warnings(found), _before(found["before"])]
    parts += [f'<p class="refused">refused: slot {one["slot"]}, {text(one["reason"])}</p>' for one in found["refused"]]
    parts += [f'<p class="filled">filled: {text(fill)}</p>' for fill in found["fills"]]
    parts.append(f'<ol class="steps">{"".join(_steps(found["decision"]))}</ol>')
    return "".join(parts)


def _warnings(found: dict[str, Any]) -> Iterator[str]:
    if not found["reproduced"]:
        yield (
            '<p class="notice bad">The digest of this bar is not the recorded one: engine, strategy or data have '
            "changed since.</p>"
        )
    if not found["agrees"]:
        yield (
            '<p class="notice bad">Interpreted, the strategy wants something else here than compiled: please run '
            "<code>dolphin ladder --rungs R</code>.</p>"
        )


def _before(before: dict[str, Any]) -> str:
    held = [
        f"{'long' if slot['side'] > 0 else 'short'} {slot['qty']:g} {slot['asset']} at "
        f"{significant(slot['entry_price'], 8)} since bar {slot['entry_bar']:,}"
        for slot in before["positions"]
    ]
    held += [f"{order['action']} {order['qty']:g} {order['asset']} works" for order in before["working"]]
    account = f"capital {number(before['capital'])}, equity {number(before['equity'])}"
    return f'<p class="before">before it: {account}; {text("; ".join(held) or "flat")}</p>'


def _steps(call: dict[str, Any]) -> Iterator[str]:
    """A call and all below it."""
    if call["kind"] == "calls":
        ends = "".join(
            f"<li>{_sign(end['outcome'])}<span>{end['calls']:,} ended at <code>{text(end['text'])}</code></span></li>"
            for end in call["ended_at"]
        )
        what = f"{text(call['function'])}: {call['calls']:,} more calls that asked for nothing"
        yield f"<li><details><summary>{what}</summary><ol>{ends}</ol></details></li>"
        return
    about = f" <b>{text(call['asset'])}</b>" if call.get("asset") else ""
    returned = "" if call["returned"] is None else f" → {text(_shown(call['returned']))}"
    place = f'<small class="line">{text(call["file"])}:{call["line"]}</small>'
    inner = "".join(_step(step) for step in call["steps"])
    summary = f"<summary><code>{text(call['function'])}</code>{about}{returned} {place}</summary>"
    yield f"<li><details open>{summary}<ol>{inner}</ol></details></li>"


def _step(step: dict[str, Any]) -> str:
    match step["kind"]:
        case "call" | "calls":
            return "".join(_steps(step))
        case "wish":
            return f'<li class="wish"><span class="sign">➜</span><code>{text(step["asked_by"])}</code></li>'
        case "value":
            return _value(step)
    line = f'<small class="line">{step["line"]}</small>'
    if "times" in step:
        times = step["times"]
        words = f"<code>{text(step['text'])}</code> {times['true']:,} yes, {times['false']:,} no"
        return f'<li class="many"><span class="sign">∑</span><span>{words}</span>{line}</li>'
    if len(step["parts"]) <= 1:
        part = f'<span class="values">{text(values_text(step["parts"][0]))}</span>' if step["parts"] else ""
        words = f'<code title="{text(condition_text(step))}">{text(step["text"])}</code>{part}'
        return _li(step["outcome"], words, line)
    inner = "".join(_part(part) for part in step["parts"])
    return _li(step["outcome"], f"<code>{text(step['text'])}</code>", line, f'<ol class="parts">{inner}</ol>')


def _part(part: dict[str, Any]) -> str:
    """One comparison of a condition."""
    asked = part.get("asks") or f"{part['left']} {part['op']} {part['right']}".strip()
    values = f'<span class="values">{text(values_text(part))}</span>'
    return _li(part["outcome"], f"<code>{text(asked)}</code>{values}")


def _value(step: dict[str, Any]) -> str:
    if step["value"] is None:
        return ""
    shown = step.get("asset") or _shown(step["value"])
    return (
        f'<li class="value"><span class="sign">=</span><span><code>{text(step["name"])}</code> = {text(shown)}</span>'
        f'<small class="line">{step["line"]}</small></li>'
    )


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _li(outcome: bool, words: str, line: str = "", below: str = "") -> str:
    return f'<li class="{_OUTCOMES[bool(outcome)][0]}">{_sign(outcome)}<span>{words}</span>{line}{below}</li>'


def _sign(outcome: bool) -> str:
    kind, sign, word = _OUTCOMES[bool(outcome)]
    return f'<span class="sign {kind}" role="img" aria-label="{word}">{sign}</span>'

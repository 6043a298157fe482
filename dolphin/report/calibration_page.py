"""The gate's own error as a page: promotions where there is no edge, and power where one was planted."""

from __future__ import annotations

from typing import Any

from dolphin.errors import DolphinError
from dolphin.report.markup import Cell, card, facts, page, table
from dolphin.report.palette import GAIN, LOSS, QUIET
from dolphin.report.svg import Frame, words

_KEYS = ("policy_sha256", "study", "dataset", "trials", "kinds", "without_edge", "created")
_PICTURED = {"edge_planted", "markets", "promoted", "share", "interval_95", "holdout_alone", "both",
             "mean_sharpe_of_the_chosen_unseen"}  # fmt: skip
#: The picture, and the pixels for its labels below.
FRAME, BELOW = Frame(860.0, 300.0, 52.0), 44.0
#: What a test of size 5 % promises.
SIZE = 0.05

#: Key, label, colour and dashes of what a planted edge may pass.
_CURVES = (
    ("promoted", "evidence", GAIN, ""),
    ("holdout_alone", "holdout alone", QUIET, "2 3"),
    ("both", "evidence and promotion floors", LOSS, "7 3"),
)

_WORDS = {
    "shift": "real prices, signals shifted",
    "shiftd": "and no trends",
    "boot": "days drawn anew",
    "null": "generated",
}


_READ = (
    "Markets of each kind that pass, and their share. broad@4: 4 bps a bar for 50 bars are planted after every signal, "
    "narrow@4: for 20 bars after the strong ones. The last two columns are Sharpe ratios: of the best on the bars that "
    "the search saw, and of what it chose on those that it did not see."
)


def calibration_page(found: dict[str, Any]) -> str:
    """Return a calibration as one self-contained HTML document without scripts.

    Parameters
    ----------
    found : dict
        As ``promote/calibration.json`` holds it.

    Raises
    ------
    DolphinError
        If a key is missing.
    """
    missing = [key for key in _KEYS if key not in found]
    if missing:
        raise DolphinError(f"no {', '.join(missing)}", where="calibration", mend="run dolphin gate calibrate again")
    nulls, parts = found["without_edge"], []
    edges = [about for about in found["kinds"].values() if about["edge_planted"]]
    if nulls:
        low, high = nulls["interval_95"]
        parts.append(
            card(
                "Markets without an edge",
                null_picture({k: about for k, about in found["kinds"].items() if not about["edge_planted"]}),
                note=(
                    f"Share that the evidence promotes, with its 95 % interval; all kinds together {nulls['promoted']} "
                    f"of {nulls['markets']:,}: {nulls['share']:.1%} ({low:.1%} to {high:.1%}). The floors come on top."
                ),
            )
        )
    if edges:
        parts.append(
            card(
                "Planted edges",
                power_picture(edges),
                note=(
                    "Share that passes, by the mean Sharpe ratio of what the search chose, on bars that it has not "
                    "seen. Floors ask more than an edge: enough of it in the window at hand."
                ),
            )
        )
    parts.append(card("All kinds", _kinds(found["kinds"]), note=_READ))
    about = [(key, found.get(key)) for key in ("study", "trials", "reruns", "seed", "created")]
    about += [("dataset", found["dataset"]["name"]), ("policy", found["policy_sha256"][:16])]
    parts.append(card("Of what", facts(about)))
    head = (
        '<header><div class="title"><h1>The gate\'s own error</h1></div>'
        f'<p class="sub">The whole path (search, choice, evidence, floors) on markets whose truth is known; '
        f"{found['trials']:,} configurations searched on each.</p></header>"
    )
    return page("The gate's own error", "\n".join([head, *parts]))


def pictures(kinds: dict[str, Any]) -> str:
    """Both pictures of what a verdict quotes, as far as it has their figures."""
    whole = {name: about for name, about in kinds.items() if {*about} >= _PICTURED}
    nulls = {name: about for name, about in whole.items() if not about["edge_planted"]}
    edges = [about for about in whole.values() if about["edge_planted"]]
    return (null_picture(nulls) if nulls else "") + (power_picture(edges) if edges else "")


def null_picture(kinds: dict[str, Any]) -> str:
    """Share promoted of each kind without an edge, with its interval, as inline SVG."""
    top = max(0.1, *(about["interval_95"][1] for about in kinds.values()))

    def down(share: float) -> float:
        return 8.0 + (FRAME.height - BELOW - 8.0) * (1.0 - share / top)

    parts = [FRAME.level(down(share), f"{share:.0%}", QUIET, "1 3") for share in (0.0, 0.5 * top, top)]
    parts.append(FRAME.level(down(SIZE), f"{SIZE:.0%}", LOSS, "6 3"))
    step = (FRAME.width - FRAME.left) / len(kinds)
    for k, (name, about) in enumerate(kinds.items()):
        x, (low, high) = FRAME.left + step * (k + 0.5), about["interval_95"]
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{down(low):.1f}" y2="{down(high):.1f}" stroke="{GAIN}" '
            f'stroke-width="3"/><circle cx="{x:.1f}" cy="{down(about["share"]):.1f}" r="6" fill="{GAIN}"/>'
        )
        parts.append(words(x + 12.0, down(about["share"]) + 4.0, f"{about['share']:.1%}", "start"))
        parts.append(words(x, FRAME.height - 24.0, name, "middle"))
        parts.append(words(x, FRAME.height - 8.0, f"{_WORDS.get(name, '')} ({about['markets']})", "middle"))
    said = ", ".join(f"{name} {about['share']:.1%}" for name, about in kinds.items())
    return FRAME.picture(f"Share promoted without an edge: {said}", parts)


def power_picture(edges: list[dict[str, Any]]) -> str:
    """Share that passes against the Sharpe ratio of the chosen on unseen bars, as inline SVG."""
    edges = sorted(edges, key=lambda about: about["mean_sharpe_of_the_chosen_unseen"] or 0.0)
    sharpes = [about["mean_sharpe_of_the_chosen_unseen"] or 0.0 for about in edges]
    right, left = max(1.0, *sharpes), min(0.0, *sharpes)

    def across(sharpe: float) -> float:
        return FRAME.left + (FRAME.width - FRAME.left - 24.0) * (sharpe - left) / (right - left)

    def down(share: float) -> float:
        return 8.0 + (FRAME.height - BELOW - 8.0) * (1.0 - share)

    parts = [FRAME.level(down(share), f"{share:.0%}", QUIET, "1 3") for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    for mark in range(int(left), int(right) + 1):
        parts.append(words(across(mark), FRAME.height - 26.0, f"{mark}", "middle"))
    for key, _, colour, dash in _CURVES:
        shares = [about[key] / about["markets"] for about in edges]
        points = " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in zip(sharpes, shares, strict=True))
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>')
        parts += [
            f'<circle cx="{across(x):.1f}" cy="{down(y):.1f}" r="4" fill="{colour}"/>'
            for x, y in zip(sharpes, shares, strict=True)
        ]
    legend = "solid: evidence; dotted: holdout alone; dashed: evidence and promotion floors"
    middle = (FRAME.left + FRAME.width) / 2
    parts.append(
        words(
            middle,
            FRAME.height - 6.0,
            f"Sharpe ratio of the chosen, unseen ({legend})",
            "middle",
        )
    )
    said = ", ".join(
        f"{x:.1f}: {about['promoted'] / about['markets']:.0%}" for x, about in zip(sharpes, edges, strict=True)
    )
    return FRAME.picture(f"Share that passes the evidence by Sharpe ratio: {said}", parts)


def _kinds(kinds: dict[str, Any]) -> str:
    def share(about: dict[str, Any], count: int) -> Cell:
        return Cell(f"{count} ({count / about['markets']:.1%})")

    rows = [
        [
            Cell(name),
            Cell(f"{about['markets']:,}"),
            share(about, about["promoted"]),
            share(about, about["holdout_alone"]),
            share(about, about["floors"][0]),
            share(about, about["floors"][1]),
            share(about, about["both"]),
            Cell(_figure(about["mean_best_on_train"])),
            Cell(_figure(about["mean_sharpe_of_the_chosen_unseen"])),
        ]
        for name, about in kinds.items()
    ]
    heads = ["Kind", "Markets", "Evidence", "Holdout alone", "Floors", "Promotion floors", "Evidence and these"]
    return table([*heads, "Sharpe, best seen", "Sharpe, chosen, unseen"], rows)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"

"""Draws compare.json: CPU per request of each proxy where all are compared, and of cloakroom and
bare in the other cases. Needs matplotlib.

    plot.py COMPARE.JSON PICTURE
"""

import json
import sys

import matplotlib

matplotlib.use("Agg")
# The same figures make the same file.
matplotlib.rcParams["svg.hashsalt"] = "cloakroom"
matplotlib.rcParams["svg.fonttype"] = "none"

import matplotlib.pyplot as plt  # noqa: E402

COLOURS = {"cloakroom": "#1f6f8b", "bare": "#9aa5ad"}
OTHER = "#d9b382"


def bars(axes, title, lines):
    """One bar a line of label, proxy and spread, with the quartiles as whiskers."""
    places = range(len(lines))
    middles = [spread["median"] for _, _, spread in lines]
    whiskers = [[spread["median"] - spread["q1"] for _, _, spread in lines],
                [spread["q3"] - spread["median"] for _, _, spread in lines]]
    axes.barh(places, middles, xerr=whiskers, capsize=2, error_kw={"elinewidth": 0.8},
              color=[COLOURS.get(proxy, OTHER) for _, proxy, _ in lines])
    # One that takes sixty times as long would leave the others no room: its bar leaves the picture.
    others = max(middle for middle in middles if middle < 20 * min(middles))
    edge = 1.2 * others
    for place, middle, high in zip(places, middles, whiskers[1], strict=True):
        far = middle > edge
        axes.annotate(f"{middle:,.1f}{' →' if far else ''}", (edge if far else middle + high, place),
                      xytext=(4, 0), textcoords="offset points",
                      va="center", fontsize=7)
    axes.set_yticks(places, [label for label, _, _ in lines], fontsize=8)
    axes.invert_yaxis()
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel("CPU µs per request", fontsize=8)
    axes.tick_params(axis="x", labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlim(0, edge)
    axes.margins(y=0.01)


def panels(rows):
    compared = {}
    for row in rows:
        compared.setdefault(row["case"], []).append(row)
    rest = []
    for own in compared.values():
        if any(row["proxy"] not in COLOURS for row in own):
            yield own[0]["title"], [(row["proxy"], row["proxy"], row["cpu_us"]) for row in own]
        else:
            rest += [(f"{row['title']}: {row['proxy']}", row["proxy"], row["cpu_us"]) for row in own]
    if rest:
        yield "cloakroom and bare pingora", rest


def main(source, picture):
    with open(source, encoding="utf-8") as file:
        drawn = list(panels(json.load(file)["rows"]))
    if not drawn:
        sys.exit(f"{source} has no rows to draw")
    heights = [len(lines) + 2 for _, lines in drawn]
    figure, axes = plt.subplots(len(drawn), 1, figsize=(8, 0.27 * sum(heights) + 0.5), squeeze=False,
                                height_ratios=heights, layout="constrained")
    for one, (title, lines) in zip(axes[:, 0], drawn, strict=True):
        bars(one, title, lines)
    figure.savefig(picture, metadata={"Date": None} if picture.endswith(".svg") else None, dpi=120)


if __name__ == "__main__":
    main(*sys.argv[1:])

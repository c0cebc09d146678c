"""The figures as text: aligned for a terminal, or in Markdown."""

HEAD = ["case", "proxy", "requests/s", "CPU µs/request", "p50 ms", "p99 ms", "RSS MB", "CPU to bare",
        "cloakroom to it", "to the base case"]


def span(value, digits):
    """Median, and the quartiles behind it."""
    if value is None:
        return ""
    middle, low, high = (f"{value[key]:,.{digits}f}" for key in ("median", "q1", "q3"))
    return f"{middle} ({low}–{high})"


def cells(row):
    base = ""
    if "against" in row:
        which = "rate" if row["case"] == "workers2" else "cpu"
        base = f"{span(row[f'{which}_to_against'], 2)} {which} of {row['against']}"
    return [row["title"], row["proxy"], span(row["requests_per_second"], 0), span(row["cpu_us"], 1),
            f"{row['p50_ms']['median']:.2f}", f"{row['p99_ms']['median']:.2f}", f"{row['rss_mb']['median']:.1f}",
            span(row.get("cpu_to_bare"), 2), span(row.get("cloakroom_cpu_to_this"), 3), base]


def goal_cells(goal):
    sign = "≥" if goal["least"] else "≤"
    measured = "" if goal["measured"] is None else f"{goal['measured']:g}{goal['unit']}"
    verdict = {True: "reached", False: "missed", None: "not measured"}[goal["reached"]]
    return [goal["goal"], f"{sign} {goal['limit']:g}{goal['unit']}", measured, verdict]


def aligned(head, lines):
    widths = [max(len(line[at]) for line in [head, *lines]) for at in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
                     for line in [head, ["-" * width for width in widths], *lines])


def markdown_table(head, lines):
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *lines])


def start_lines(starts):
    return [[name, span(value, 1)] for name, value in starts.items()]


def text(comparison, markdown):
    table = markdown_table if markdown else aligned
    made = comparison["made"]
    parts = []
    rows = comparison["rows"]
    parts.append(f"{made['rounds']} rounds of {made['seconds']} s each; medians (quartiles); ratios are those "
                 "within a round. " + ", ".join(" ".join(pair) for pair in made["versions"].items()) +
                 f"; {made['processor']}, "
                 f"{made['system']}.")
    if rows:
        parts.append(table(HEAD, [cells(row) for row in rows]))
        less = {row["proxy"]: row["less"] for row in rows if row["less"]}
        if less:
            parts.append(table(["proxy", "does less of what cloakroom does"], [list(pair) for pair in less.items()]))
    if comparison["start_ms"]:
        parts.append(table(["start to ready, cold", "ms"], start_lines(comparison["start_ms"])))
    parts.append(table(["goal", "limit", "measured", ""], [goal_cells(goal) for goal in comparison["goals"]]))
    return "\n\n".join(parts) + "\n"

"""A picture of deploy/grafana/dashboard.json without Grafana: each panel's own queries, put to a real
Prometheus and drawn where its gridPos says, with its title, unit and legend.

    tests/prometheus/run --draw docs/images/dashboard.png
"""

import html
import itertools
import math
import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import traffic
from board import BOARD, PANELS, filled_in
from scene import scene
from values import PLAIN, labelled, shown, ticks

# How long the picture covers, and how far apart its points are, in seconds. Before it there is traffic for
# as long as the rates reach back.
SPAN, STEP, BEFORE = 240, 2, 30

# Of a column and a row of Grafana's grid, and between panels, in pixels.
COLUMN, ROW, GAP = 66, 38, 8
TOP = 64

COLOURS = ["#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#b07aa1", "#9c755f", "#d4a800", "#ff7eb0", "#7a7a7a"]
NAMED = {"green": "#2e8b3d", "orange": "#d9730d", "red": "#c4162a", "blue": "#1f60c4"}

STYLE = Path(__file__).with_name("dashboard.css").read_text()


def series(prometheus, panel, start, end):
    """Each series of a panel: its name, and its points as (time, value)."""
    found = []
    for target in panel["targets"]:
        result = prometheus.api("query_range", query=filled_in(target["expr"]), start=start, end=end, step=STEP)["result"]
        for line in result:
            points = [(at, float(value)) for at, value in line["values"] if value not in ("NaN", "+Inf", "-Inf")]
            if points:
                found.append((labelled(target["legendFormat"], line["metric"]) or panel["title"], points))
    return found


def lines(found, panel, start, end, width, height):
    """The curves of a panel, with their axes."""
    defaults = panel["fieldConfig"]["defaults"]
    custom, unit = defaults["custom"], defaults["unit"]
    stacked = custom["stacking"]["mode"] == "normal"
    below, curves = {}, []
    for _, points in found:
        ground = [below.get(at, 0) if stacked else 0 for at, _ in points]
        curves.append([(at, low, low + value) for (at, value), low in zip(points, ground)])
        below = {**below, **{at: high for at, _, high in curves[-1]}}
    steps = ticks(defaults.get("max", max(high for curve in curves for _, _, high in curve)), unit)
    left, bottom = 62, height - 18

    def x(at):
        return round(left + (at - start) / (end - start) * (width - left - 6), 1)

    def y(value):
        return round(bottom - value / steps[-1] * (bottom - 6), 1)

    drawn = []
    for value in steps:
        drawn.append(f'<path d="M{left} {y(value)}H{width - 6}" stroke="#e5e9ed"/>')
        drawn.append(f'<text x="{left - 6}" y="{y(value) + 4}" text-anchor="end">{shown(value, unit)}</text>')
    for at in range(math.ceil(start / 60) * 60, int(end) + 1, 60):
        drawn.append(f'<path d="M{x(at)} 6V{bottom}" stroke="#f0f2f4"/>')
        drawn.append(f'<text x="{x(at)}" y="{height - 4}" text-anchor="middle">{time.strftime("%H:%M", time.gmtime(at))}</text>')
    for colour, curve in zip(itertools.cycle(COLOURS), curves):
        # Broken where there is no point, as spanNulls says.
        for part in parts(curve):
            upper = " ".join(f"{x(at)},{y(high)}" for at, _, high in part)
            lower = " ".join(f"{x(at)},{y(low)}" for at, low, _ in reversed(part))
            drawn.append(f'<polygon points="{upper} {lower}" fill="{colour}" opacity="{custom["fillOpacity"] / 100}"/>')
            drawn.append(f'<polyline points="{upper}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
    return f'<svg width="{width}" height="{height}">{"".join(drawn)}</svg>'


def parts(curve):
    part = []
    for point in curve:
        if part and point[0] - part[-1][0] > STEP * 1.5:
            yield part
            part = []
        part.append(point)
    yield part


def timeseries(panel, found, start, end, width, height):
    """Curves above, and below them the legend as Grafana's table, in as many columns as there is room for."""
    unit = panel["fieldConfig"]["defaults"]["unit"]
    # Where the axis says it, the number alone is enough.
    unit = "none" if unit in PLAIN else unit
    rows = [
        f'<tr><td><i style="background:{colour}"></i>{html.escape(name)}</td>'
        f"<td>{shown(points[-1][1], unit)}</td><td>{shown(max(value for _, value in points), unit)}</td></tr>"
        for colour, (name, points) in zip(itertools.cycle(COLOURS), found)
    ]
    widest = 150 + 7.4 * max(len(name) for name, _ in found)
    columns = min(max(int(width / widest), 1), len(rows))
    each = math.ceil(len(rows) / columns)
    head = "<tr><th></th><th>last</th><th>max</th></tr>"
    tables = "".join(f"<table>{head}{''.join(rows[n : n + each])}</table>" for n in range(0, len(rows), each))
    chart = lines(found, panel, start, end, width, height - 20 - 17 * (each + 1))
    return f'{chart}<div class="keys">{tables}</div>'


def stat(panel, found, start, end, width, height):
    """The last value, in the colour of the threshold that it is past, over how it came to that."""
    defaults = panel["fieldConfig"]["defaults"]
    (_, points), = found
    last = points[-1][1]
    colour = NAMED[[step["color"] for step in defaults["thresholds"]["steps"] if step["value"] is None or last >= step["value"]][-1]]
    words = {key: word["text"] for mapping in defaults["mappings"] for key, word in mapping["options"].items()}
    text = words.get(f"{last:g}") or shown(last, defaults["unit"], defaults.get("decimals"))
    # As wide as the panel, without what keeps text from its edge.
    top, outer = max(value for _, value in points) or 1, width + 20
    curve = " ".join(f"{(at - start) / (end - start) * outer:.1f},{40 - value / top * 30:.1f}" for at, value in points)
    first, past = curve.split(",")[0], curve.split()[-1].split(",")[0]
    spark = f'<polygon points="{first},40 {curve} {past},40" fill="{colour}" opacity=".18"/>'
    return f'<b style="color:{colour}">{text}</b><svg width="{outer}" height="40">{spark}</svg>'


def table(panel, prometheus):
    """The labels of what there is now, less those that the panel leaves out."""
    target, = panel["targets"]
    hidden = {name for change in panel["transformations"] for name in change["options"]["excludeByName"]}
    rows = [sample["metric"] for sample in prometheus.query(filled_in(target["expr"]))]
    names = sorted({name for row in rows for name in row} - hidden)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(row.get(name, str()))}</td>' for name in names)}</tr>" for row in rows)
    return rows and f'<table><tr>{"".join(f"<th>{name}</th>" for name in names)}</tr>{body}</table>'


def page(prometheus, start, end):
    """The whole dashboard; a panel without data says so."""
    drawn = []
    for panel in PANELS:
        place, kind, title = panel["gridPos"], panel["type"], html.escape(panel["title"])
        width, height = place["w"] * COLUMN - GAP, place["h"] * ROW - GAP
        at = f'style="left:{place["x"] * COLUMN + GAP}px;top:{place["y"] * ROW + TOP}px;width:{width}px;height:{height}px"'
        if kind == "row":
            drawn.append(f"<h2 {at}>{title}</h2>")
            continue
        if kind == "table":
            inside = table(panel, prometheus)
        else:
            found = series(prometheus, panel, start, end)
            draw = {"stat": stat, "timeseries": timeseries}[kind]
            inside = found and draw(panel, found, start, end, width - 22, height - 14)
        inside = inside or "<p class=none>No data</p>"
        drawn.append(f'<section class="{kind}" {at}><h3>{title}</h3>{inside}</section>')
    size = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in PANELS) * ROW + TOP
    header = f"<h1>{BOARD['title']}</h1><span>Drawn from the panels and queries of deploy/grafana/dashboard.json, not by Grafana.</span>"
    return (
        f'<!doctype html><meta charset="utf-8"><style>{STYLE} body {{ width: {24 * COLUMN + GAP}px; height: {size}px }}</style>'
        f"<header>{header}</header>{''.join(drawn)}"
    ), size


def draw(path):
    with scene() as (sidecar, prometheus):
        start, pace = time.time() + BEFORE, threading.Event()
        for number in itertools.count(1):
            passed = time.time() - start
            if passed > SPAN:
                break
            traffic.sound(sidecar)
            if number % 6 == 0:
                traffic.steady(sidecar)
            if number % 300 == 0:
                traffic.once(sidecar)
                with traffic.a_reload_that_fails(sidecar):
                    pass
            # Busier and quieter, as by day and by night.
            pace.wait(0.2 + 0.15 * math.sin(passed / SPAN * 4 * math.pi))
        text, height = page(prometheus, start, time.time())
    with tempfile.TemporaryDirectory() as folder:
        (source := Path(folder, "dashboard.html")).write_text(text)
        command = ["chromium", "--headless", "--hide-scrollbars", "--force-device-scale-factor=1", f"--user-data-dir={folder}"]
        # Chromium's own sandbox does not work for root.
        command += ["--no-sandbox"] if os.geteuid() == 0 else []
        command += [f"--window-size={24 * COLUMN + GAP},{height}", f"--screenshot={path}", source.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        # A palette makes it a third of the size.
        subprocess.run(["pngquant", "--force", "--output", path, "64", path], check=True)
    print(f"{path}: {path.stat().st_size} bytes")
    return 0

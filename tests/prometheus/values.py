"""Numbers and names as a dashboard shows them: the units and legends that ours has, and no others."""

import math
import re

# What is put behind a number, per unit of Grafana's; those that scale are below.
PLAIN = {"reqps": " req/s", "ops": " ops/s", "cps": " c/s", "short": "", "none": ""}


def labelled(legend, labels):
    """A legendFormat with the labels of a series in it."""
    return re.sub(r"{{(\w+)}}", lambda name: labels.get(name[1], ""), legend)


def shown(value, unit, decimals=None):
    factor, word = scale(value, unit)
    if decimals is None:
        # Three digits, or as many as stand before the point.
        size = abs(value * factor)
        decimals = 0 if size == 0 else max(0, 2 - math.floor(math.log10(size)))
        text = f"{value * factor:.{min(decimals, 3)}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        text = f"{value * factor:.{decimals}f}"
    return text + word


def scale(value, unit):
    """By what a number is multiplied to be read, and what stands behind it."""
    if unit == "percentunit":
        return 100, "%"
    if unit == "s":
        steps = [(120, 1 / 60, " min"), (1, 1, " s"), (1e-3, 1e3, " ms"), (0, 1e6, " µs")]
        return next(step[1:] for step in steps if value >= step[0]) if value else (1, " s")
    if unit == "bytes":
        steps = [(1 << 20, 1 / (1 << 20), " MiB"), (1 << 10, 1 / (1 << 10), " KiB"), (0, 1, " B")]
        return next(step[1:] for step in steps if value >= step[0])
    return 1, PLAIN[unit]


def ticks(most, unit):
    """Round values from 0 to past `most`, three to six of them."""
    if most <= 0:
        return [0, 1]
    rough = most / 4
    if unit == "bytes":
        step = 2 ** math.ceil(math.log2(rough))
    else:
        power = 10 ** math.floor(math.log10(rough))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    return [number * step for number in range(math.ceil(most / step - 1e-9) + 1)]

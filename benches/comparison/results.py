"""From rounds to figures: medians with quartiles, ratios within each round, and the goals."""

import statistics


def spread(values, digits=3):
    """Median and quartiles."""
    if len(values) > 1:
        low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    else:
        low = middle = high = values[0]
    return {"median": round(middle, digits), "q1": round(low, digits), "q3": round(high, digits)}


def ratio(upper, lower, what="cpu"):
    """Of what was measured in the same round, round by round."""
    pairs = zip(upper.rounds, lower.rounds, strict=True)
    return spread([getattr(one, what) / getattr(other, what) for one, other in pairs], 4)


def rows(runners):
    """One row for each case and proxy, in the order they were measured."""
    found = {(runner.case.slug, runner.proxy.name): runner for runner in runners}
    table = []
    for runner in runners:
        case, proxy, rounds = runner.case, runner.proxy, runner.rounds
        row = {
            "case": case.slug, "title": case.title, "proxy": proxy.name, "connections": case.connections,
            "requests_per_second": spread([one.rate for one in rounds], 0),
            "cpu_us": spread([one.cpu for one in rounds], 2),
            "p50_ms": spread([one.p50 for one in rounds]), "p99_ms": spread([one.p99 for one in rounds]),
            "rss_mb": spread([one.rss / 1e6 for one in rounds], 1),
            "less": proxy.less,
            "rounds": [vars(one) for one in rounds],
        }
        bare = found.get((case.slug, "bare"))
        own = found.get((case.slug, "cloakroom"))
        base = found.get((case.against, proxy.name))
        if bare and runner is not bare:
            row["cpu_to_bare"] = ratio(runner, bare)
        if own and runner is not own:
            row["cloakroom_cpu_to_this"] = ratio(own, runner)
            row["cloakroom_rss_to_this"] = ratio(own, runner, "rss")
        if base:
            row["against"] = case.against
            row["cpu_to_against"] = ratio(runner, base)
            row["rate_to_against"] = ratio(runner, base, "rate")
        table.append(row)
    return table


def goal(text, limit, value, unit="", least=False):
    if value is None:
        return {"goal": text, "limit": limit, "unit": unit, "least": least, "measured": None, "reached": None}
    reached = value >= limit if least else value <= limit
    return {"goal": text, "limit": limit, "unit": unit, "least": least, "measured": value, "reached": reached}


def goals(table, starts):
    found = {(row["case"], row["proxy"]): row for row in table}

    def value(case, key, proxy="cloakroom"):
        return found.get((case, proxy), {}).get(key, {}).get("median")

    def to(peer, case="200b"):
        return value(case, "cloakroom_cpu_to_this", peer)

    stored, in_cookie = (value(case, "rss_mb") for case in ("store", "tcp"))
    start = starts.get("cloakroom")
    return [
        goal("valid 200 B cookie, CPU to haproxy jwt_verify", 0.9, to("haproxy jwt_verify")),
        goal("no cookie, CPU to haproxy without sessions", 1, to("haproxy", "none")),
        goal("valid 200 B cookie, CPU to bare", 0.8, value("200b", "cpu_to_bare")),
        goal("no cookie, CPU to bare", 0.7, value("none", "cpu_to_bare")),
        goal("save and sign, CPU to bare on the same answer", 0.95, value("save", "cpu_to_bare")),
        goal("200 B with 12 browser headers, CPU to haproxy jwt_verify", 0.95,
             to("haproxy jwt_verify", "headers")),
        goal("200 B, CPU to nginx + Lua", 0.75, to("nginx + Lua")),
        goal("200 B, CPU to Envoy jwt_authn", 0.22, to("envoy jwt_authn")),
        goal("200 B, CPU to Apache mod_session_crypto", round(1 / 80, 4), to("apache mod_session_crypto")),
        goal("dict of 2 KB, CPU to 200 B", 1.25, value("2kb", "cpu_to_against")),
        goal("1,000 connections, CPU to 64", 1.15, value("c1000", "cpu_to_against")),
        goal("RSS at 64 connections", 14, value("c64", "rss_mb"), " MB"),
        goal("RSS at 1,000 connections", 40, value("c1000", "rss_mb"), " MB"),
        goal("session in a file store, CPU to a session in a cookie", 1.35, value("store", "cpu_to_against")),
        goal("RSS with a file store, difference from cookies", 12,
             None if None in (stored, in_cookie) else round(stored - in_cookie, 1), " MB"),
        goal("requests/s, 1 to 2 workers", 1.8, value("workers2", "rate_to_against"), least=True),
        goal("start to ready, cold", 50, start and start["median"], " ms"),
    ]


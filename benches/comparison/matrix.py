"""The cases, and in which groups they are measured: the rounds of one group alternate, so that what
is compared has been measured within the same minutes."""

import dataclasses

import cases

EVERYBODY, WITH_BARE, ALONE = "everybody", "with bare", "alone"


@dataclasses.dataclass
class Case:
    slug: str
    title: str
    group: str
    who: str
    dict: str = "200"  # "", "20", "200", "2k" or "forged"
    path: str = "/"
    browser: bool = False
    connections: int = 64
    workers: int = 1
    variant: str = ""  # of cloakroom: see proxies.Site; "h2" is one of the load
    longer: int = 0  # seconds more a round
    against: str = ""  # another case of the group that this one is set against
    quick: bool = False
    also: tuple[str, ...] = ()  # peers that take part beside bare

    @property
    def fresh(self):
        """What must not be shared by a process: how many connections it has seen shows in its memory."""
        return self.connections


CASES = [
    Case("none", "no cookie", "none", EVERYBODY, dict="", quick=True),
    Case("200b", "dict of 200 B", "200b", EVERYBODY, quick=True),
    Case("headers", "200 B, 12 browser headers", "headers", EVERYBODY, browser=True),
    Case("20b", "dict of 20 B", "size", WITH_BARE, dict="20", quick=True),
    Case("size", "dict of 200 B, again", "size", ALONE, quick=True),
    Case("2kb", "dict of 2 KB", "size", WITH_BARE, dict="2k", against="size", quick=True),
    Case("bad", "bad signature", "size", WITH_BARE, dict="forged"),
    Case("save", "save", "write", WITH_BARE, path="/save", quick=True,
         also=("nginx + Lua session",)),
    Case("merge", "merge", "write", WITH_BARE, path="/merge"),
    Case("refresh", "refresh", "write", WITH_BARE, variant="refresh"),
    Case("tcp", "200 B, HTTP/1.1, TCP backend", "way", ALONE),
    Case("unix", "unix-socket backend", "way", ALONE, variant="unix", against="tcp"),
    Case("tls", "TLS listener", "way", ALONE, variant="tls", against="tcp"),
    Case("h2", "h2 listener (h2c)", "way", ALONE, variant="h2", against="tcp"),
    Case("log", "access log on", "way", ALONE, variant="log", against="tcp"),
    Case("store", "session in a file store", "way", ALONE, variant="store", against="tcp"),
    Case("c1", "1 connection", "connections", WITH_BARE, connections=1, against="c64"),
    Case("c64", "64 connections", "connections", WITH_BARE, quick=True),
    Case("c1000", "1,000 connections", "connections", WITH_BARE, connections=1000, longer=1, against="c64",
         quick=True),
    Case("workers1", "all on one core, 1 worker", "workers", WITH_BARE, quick=True),
    Case("workers2", "all on two cores, 2 workers", "workers", WITH_BARE, workers=2, against="workers1", quick=True),
]
START = "start"
SLUGS = [case.slug for case in CASES] + [START]
DICTS = {"20": cases.SMALL, "200": cases.MIDDLE, "2k": cases.LARGE, "forged": cases.MIDDLE}


def chosen(slugs, quick):
    """The cases of those names, with what they are set against."""
    if not slugs:
        return [case for case in CASES if case.quick or not quick]
    wanted = set(slugs)
    wanted |= {case.against for case in CASES if case.slug in wanted}
    return [case for case in CASES if case.slug in wanted]


def entrants(case, proxies, families):
    """The proxies of a case."""
    if case.who == ALONE:
        return [proxy for proxy in proxies if proxy.name == "cloakroom"]
    return [proxy for proxy in proxies
            if not proxy.family
            or (proxy.family in families and (case.who == EVERYBODY or proxy.name in case.also))]

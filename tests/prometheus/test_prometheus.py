"""What a real Prometheus makes of the real metrics, rules and dashboard."""

import json
import re
import shutil
import tempfile
import threading
import unittest
from pathlib import Path

import yaml

import traffic
from support import DEPLOY, ROOT, App, Prometheus, Sidecar, tool, wait_for

RULES = DEPLOY / "prometheus/rules.yml"

# Never in a few seconds: 65,536 writes within a minute, 4 MB of log that nobody reads. Their tests
# are with those of the code.
STAND_STILL = {"cloakroom_recent_writes_evicted_total", "cloakroom_log_lines_dropped_total"}

# What Grafana fills in.
VARIABLES = {"$__rate_interval": "30s", "$__interval": "5s", "$__range": "1m", "$job": ".*", "$instance": ".*"}


def rules(kind):
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


def dashboard_queries():
    board = json.loads((DEPLOY / "grafana/dashboard.json").read_text())
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            yield panel["title"], expression


class OnePrometheus(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="cloakroom-prometheus-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        app = App()
        cls.addClassCleanup(app.stop)
        cls.sidecar = Sidecar(traffic.configure(cls.folder, app.port))
        cls.addClassCleanup(cls.sidecar.stop)
        traffic.before_the_app(cls.sidecar)
        # Of what happens from now on Prometheus sees the rates.
        cls.prometheus = Prometheus(cls.folder, cls.sidecar.admin)
        cls.addClassCleanup(cls.prometheus.stop)
        wait_for(lambda: cls.prometheus.query('up{job="cloakroom"} == 1'), "the first scrape")
        app.start()
        wait_for(lambda: cls.sidecar.samples()["cloakroom_backend_healthy"] == 1, "a healthy app")
        traffic.once(cls.sidecar)
        over, cls.faults = threading.Event(), []

        def keep_on():
            while not over.is_set():
                try:
                    traffic.steady(cls.sidecar)
                except Exception as fault:  # noqa: BLE001: told at the end
                    cls.faults.append(fault)
                over.wait(0.2)

        cls.over, cls.thread = over, threading.Thread(target=keep_on)
        cls.thread.start()

    @classmethod
    def tearDownClass(cls):
        cls.over.set()
        cls.thread.join()
        assert not cls.faults, cls.faults

    def test_promtool_accepts_the_metrics(self):
        self.assertEqual(tool("promtool", "check", "metrics", given=self.sidecar.metrics()), "")

    def test_every_family_has_moved(self):
        """Else the queries below would find only what stands at 0 from the start."""
        samples = self.sidecar.samples()

        def moved(family):
            if family.startswith("process_"):
                return True
            names = (family, family + "_count")
            return any(value for series, value in samples.items() if series.partition("{")[0] in names)

        still = {family for family in self.sidecar.families() if not moved(family)}
        # What is going on at this moment, which may be nothing.
        still -= {"cloakroom_requests_in_flight", "cloakroom_connections_active"}
        self.assertEqual(still, STAND_STILL)

    def test_every_family_is_described(self):
        page = (ROOT / "docs/operations.md").read_text()
        table = page.partition("## Metrics")[2].partition("### Session outcomes")[0]
        cells = re.findall(r"(?m)^\| (`[^|]*) \|", table)
        described = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
        self.assertEqual(sorted(described), sorted(self.sidecar.families()))

    def test_every_recording_rule_yields_data(self):
        names = [rule["record"] for rule in rules("record")]
        self.assertGreater(len(names), 5)
        # The failure of a reload comes below.
        for name in set(names) - {"instance:cloakroom_config_reload_failure:timestamp_seconds"}:
            with self.subTest(name):
                wait_for(lambda: self.prometheus.query(name), name)

    def test_every_query_of_the_dashboard_returns_data(self):
        queries = list(dashboard_queries())
        self.assertGreater(len(queries), 20)
        for title, expression in queries:
            with self.subTest(title, expression=expression):
                self.assertNotIn("$", expression)
                wait_for(lambda: self.prometheus.query(expression), title)

    def test_every_family_is_on_the_dashboard(self):
        shown = " ".join(expression for _, expression in dashboard_queries())
        families = {family for family in self.sidecar.families() if family.startswith("cloakroom_")}
        self.assertEqual({family for family in families if family not in shown}, set())

    def test_the_variables_of_the_dashboard_have_values(self):
        board = json.loads((DEPLOY / "grafana/dashboard.json").read_text())
        found = 0
        for variable in board["templating"]["list"]:
            if variable["type"] != "query":
                continue
            found += 1
            label, = re.findall(r"label_values\(.*?, *(\w+)\)$", variable["query"]["query"])
            selector = re.sub(r"^label_values\((.*), *\w+\)$", r"\1", variable["query"]["query"])
            for name, value in VARIABLES.items():
                selector = selector.replace(name, value)
            values = {series.get(label) for series in self.prometheus.api("series", **{"match[]": selector})}
            self.assertTrue(values - {None}, variable["name"])
        self.assertEqual(found, 2)

    def test_every_rule_evaluates(self):
        def look():
            groups = self.prometheus.api("rules")["groups"]
            states = {rule["name"]: rule for group in groups for rule in group["rules"]}
            return all(rule["health"] != "unknown" for rule in states.values()) and states

        states = wait_for(look, "an evaluation of each rule")
        named = {rule.get("record") or rule["alert"] for rule in rules("expr")}
        self.assertEqual(set(states), named)
        for name, rule in states.items():
            self.assertEqual((rule["health"], rule.get("lastError", "")), ("ok", ""), name)
        # The two that need no history and have been given cause.
        for name in ("CloakroomSavesRejected", "CloakroomConnectionsRefused"):
            wait_for(lambda: self.firing(name), name)

    def test_a_reload_that_fails_is_an_alert(self):
        config = self.sidecar.config
        sound = config.read_text()
        failures = 'cloakroom_config_reloads_total{outcome="failure"}'
        self.assertFalse(self.firing("CloakroomReloadFailed"))
        try:
            config.write_text(sound + "[unheard_of]\n")
            wait_for(lambda: self.sidecar.samples()[failures] == 1, "a reload that fails")
            alert, = wait_for(lambda: self.firing("CloakroomReloadFailed"), "the alert")
        finally:
            config.write_text(sound)
        instance = f"127.0.0.1:{self.sidecar.admin}"
        self.assertEqual(alert["labels"], {
            "alertname": "CloakroomReloadFailed", "severity": "warning", "job": "cloakroom", "instance": instance,
        })
        self.assertIn("; 1 reloads have failed since it started", alert["annotations"]["description"])
        recorded = "instance:cloakroom_config_reload_failure:timestamp_seconds"
        self.assertEqual(len(wait_for(lambda: self.prometheus.query(recorded), recorded)), 1)

    def firing(self, name):
        alerts = self.prometheus.api("alerts")["alerts"]
        return [a for a in alerts if a["labels"]["alertname"] == name and a["state"] == "firing"]


class TheFiles(unittest.TestCase):
    def test_promtool_accepts_rules_and_configuration(self):
        number = len(rules("expr"))
        self.assertIn(f"{number} rules found", tool("promtool", "check", "rules", "--lint-fatal", RULES))
        tool("promtool", "check", "config", "--lint-fatal", DEPLOY / "prometheus/prometheus.yml")

    def test_each_alert_fires_when_it_should_and_only_then(self):
        files = [DEPLOY / "prometheus/rules_test.yml", DEPLOY / "prometheus/rules_days_test.yml"]
        said = tool("promtool", "test", "rules", *files)
        self.assertEqual(said.count("SUCCESS"), len(files), said)
        fires, silent = set(), set()
        for case in (case for file in files for case in yaml.safe_load(file.read_text())["tests"]):
            for check in case.get("alert_rule_test", []):
                (fires if check["exp_alerts"] else silent).add(check["alertname"])
        names = {rule["alert"] for rule in rules("alert")}
        self.assertEqual(names - fires, set(), "alerts without a case that fires")
        self.assertLessEqual(silent, names, "cases of alerts that do not exist")

    def test_each_alert_says_how_bad_it_is_and_how_much(self):
        for rule in rules("alert"):
            with self.subTest(rule["alert"]):
                self.assertIn(rule["labels"]["severity"], {"critical", "warning", "info"})
                self.assertEqual(set(rule["annotations"]), {"summary", "description", "runbook"})
                self.assertRegex(rule["annotations"]["description"], r"\$value|\| value")

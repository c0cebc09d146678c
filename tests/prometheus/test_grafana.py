"""The dashboard and its provisioning as files, and the dashboard in Grafana's own model of one: Grafana
itself is no package of Debian or PyPI, so that nothing here has been drawn by it."""

import copy
import itertools
import json
import unittest

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard as Model
from grafana_foundation_sdk.models.dashboard import RowPanel
from grafana_foundation_sdk.models.prometheus import Dataquery

from board import BOARD, PANELS
from support import DEPLOY

GRAFANA = DEPLOY / "grafana"


# What Grafana writes itself and its model leaves out: how often an annotation is looked for and what it
# is called, and the query of a variable once more, for its own list of them.
NOT_IN_THE_MODEL = {
    "annotations.list[0].step", "annotations.list[0].titleFormat",
    "templating.list[1].definition", "templating.list[2].definition",
}


def lost(given, kept, where=""):
    """The places at which something of the one is not in the other, or is something else there."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            place = f"{where}.{key}".lstrip(".")
            yield from lost(value, kept[key], place) if key in kept else [place]
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for number, pair in enumerate(zip(given, kept)):
            yield from lost(*pair, f"{where}[{number}]")
    elif type(given) is not type(kept) or given != kept:
        yield where


def through_the_model(board):
    """A dashboard as Grafana's model of it, and what that writes."""
    model = Model.from_json(copy.deepcopy(board))
    return model, json.loads(JSONEncoder().encode(model))


def covers(one, other):
    """Whether two places on the grid have a cell in common."""
    return (
        one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]
    )


class Dashboard(unittest.TestCase):
    def test_each_panel_has_an_id_a_title_and_a_place_of_its_own(self):
        ids = [panel["id"] for panel in PANELS]
        self.assertEqual(len(ids), len(set(ids)))
        titles = [panel["title"] for panel in PANELS]
        self.assertEqual(len(titles), len(set(titles)))
        self.assertTrue(all(titles))
        for panel in PANELS:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            self.assertGreaterEqual(min(place.values()), 0, panel["title"])
        for one, other in itertools.combinations(PANELS, 2):
            self.assertFalse(
                covers(one["gridPos"], other["gridPos"]), f"{one['title']} lies over {other['title']}"
            )

    def test_each_query_goes_to_the_source_that_was_chosen(self):
        source = {"type": "prometheus", "uid": "${datasource}"}
        self.assertIn("datasource", [variable["name"] for variable in BOARD["templating"]["list"]])
        for panel in PANELS:
            if panel["type"] == "row":
                self.assertFalse(panel["collapsed"] or panel["panels"], panel["title"])
                continue
            self.assertEqual(panel["datasource"], source, panel["title"])
            self.assertTrue(panel["targets"], panel["title"])
            names = [target["refId"] for target in panel["targets"]]
            self.assertEqual(len(names), len(set(names)), panel["title"])
            for target in panel["targets"]:
                self.assertEqual(target["datasource"], source, panel["title"])
                self.assertIn('job=~"$job",instance=~"$instance"', target["expr"], panel["title"])

    def test_rates_go_by_the_scrape_interval(self):
        texts = [t["expr"] for panel in PANELS for t in panel.get("targets", [])]
        self.assertFalse([text for text in texts if "rate(" in text and "[$__rate_interval]" not in text])

    def test_it_can_be_imported_anywhere(self):
        # Numbers of one Grafana's database.
        self.assertNotIn("id", BOARD)
        self.assertEqual(BOARD["uid"], "cloakroom")


class GrafanasModel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        register_default_plugins()

    def test_nothing_is_lost_and_nothing_is_unknown(self):
        _, kept = through_the_model(BOARD)
        self.assertEqual(set(lost(BOARD, kept)), NOT_IN_THE_MODEL)

    def test_it_knows_each_kind_of_panel_and_query(self):
        model, _ = through_the_model(BOARD)
        self.assertEqual(len(model.panels), len(PANELS))
        for given, panel in zip(PANELS, model.panels):
            if given["type"] == "row":
                self.assertIsInstance(panel, RowPanel)
                continue
            # Of a kind that it does not know the options stay the dict that they were.
            module = type(panel.options).__module__.rpartition(".")[2]
            self.assertEqual(module, given["type"], given["title"])
            for target in panel.targets:
                self.assertIsInstance(target, Dataquery, given["title"])

    def test_it_would_notice(self):
        for place, change in {
            "panels[1].options.colourMode": lambda panel: panel["options"].update(colourMode="value"),
            "panels[1].fieldConfig.defaults.units": lambda panel: panel["fieldConfig"]["defaults"].update(units="s"),
            "panels[1].targets[0].expression": lambda panel: panel["targets"][0].update(expression="up"),
        }.items():
            broken = copy.deepcopy(BOARD)
            change(broken["panels"][1])
            _, kept = through_the_model(broken)
            self.assertEqual(set(lost(broken, kept)) - NOT_IN_THE_MODEL, {place})


class Provisioning(unittest.TestCase):
    def test_it_names_prometheus_and_where_the_dashboard_is(self):
        source, = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
        self.assertEqual((source["type"], source["access"]), ("prometheus", "proxy"))
        scraped = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())["global"]
        self.assertEqual(source["jsonData"]["timeInterval"], scraped["scrape_interval"])
        provider, = yaml.safe_load((GRAFANA / "provisioning/dashboards/cloakroom.yml").read_text())["providers"]
        self.assertEqual(provider["type"], "file")
        self.assertTrue(provider["options"]["path"].startswith("/var/lib/grafana/"))

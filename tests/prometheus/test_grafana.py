"""The dashboard and its provisioning as files: Grafana itself is no package of Debian or PyPI, so
that nothing here has been drawn by it."""

import itertools
import json
import unittest

import yaml

from support import DEPLOY

GRAFANA = DEPLOY / "grafana"
BOARD = json.loads((GRAFANA / "dashboard.json").read_text())
PANELS = BOARD["panels"]


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


class Provisioning(unittest.TestCase):
    def test_it_names_prometheus_and_where_the_dashboard_is(self):
        source, = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
        self.assertEqual((source["type"], source["access"]), ("prometheus", "proxy"))
        scraped = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())["global"]
        self.assertEqual(source["jsonData"]["timeInterval"], scraped["scrape_interval"])
        provider, = yaml.safe_load((GRAFANA / "provisioning/dashboards/cloakroom.yml").read_text())["providers"]
        self.assertEqual(provider["type"], "file")
        self.assertTrue(provider["options"]["path"].startswith("/var/lib/grafana/"))

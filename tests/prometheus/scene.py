"""An app, the sidecar in front of it and a Prometheus that scrapes it, all of them real but the app,
with one of everything behind them. What comes then is up to who asked for it."""

import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

import traffic
from support import App, Prometheus, Sidecar, wait_for


@contextmanager
def scene():
    """Gives the sidecar and Prometheus, and ends both."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cloakroom-prometheus-")))
        app = App()
        stack.callback(app.stop)
        sidecar = Sidecar(traffic.configure(folder, app.port))
        stack.callback(sidecar.stop)
        traffic.before_the_app(sidecar)
        # Of what happens from now on Prometheus sees the rates.
        prometheus = Prometheus(folder, sidecar.admin)
        stack.callback(prometheus.stop)
        wait_for(lambda: prometheus.query('up{job="cloakroom"} == 1'), "the first scrape")
        app.start()
        wait_for(lambda: traffic.healthy(sidecar) == 1, "a healthy app")
        traffic.once(sidecar)
        yield sidecar, prometheus

"""deploy/systemd/cloakroom.service under a systemd of its own, in a container: that the sandbox does not
keep the sidecar from anything it does."""

import re
import tempfile
import unittest
from pathlib import Path

import image
from engine import BASE, BUILD, METRICS, PREFIX, ROOT, docker, eventually, run

UNIT = ROOT / "deploy/systemd/cloakroom.service"

# The commands at the head of the unit are those that prepare the machine.
DOCKERFILE = """
FROM {base}
RUN apt-get update -q \\
    && apt-get install -y -q --no-install-recommends systemd procps \\
    && rm -rf /var/lib/apt/lists/*
COPY --from={image} /usr/local/bin/cloakroom /usr/local/bin/cloakroom
COPY cloakroom.service test.target /etc/systemd/system/
RUN {prepare}
COPY cloakroom.toml /etc/cloakroom/
"""

# Only what the test is about is started.
TARGET = "[Unit]\nDefaultDependencies=no\nWants=cloakroom.service systemd-journald.service\n"

CONFIG = """
listen = ["127.0.0.1:8080", "unix:/run/cloakroom/listen.sock"]
backend = "http://127.0.0.1:5000"
[[keys]]
secret_file = "/etc/cloakroom/session_key"
[admin]
listen = "127.0.0.1:9090"
"""

# As the unit says it for an app on a unix socket; the app is another cloakroom here.
GROUP = "/run/systemd/system/cloakroom.service.d/group.conf"
SHOP = f"""
set -e
useradd --system shop
install -d -o shop -g shop -m 0750 /run/shop
cat >/run/shop/app.toml <<END
listen = "unix:/run/shop/app.sock"
socket_mode = "0660"
backend = "http://127.0.0.1:5000"
keys = [{{ secret = "a-secret-of-32-bytes-for-the-test" }}]
END
sed -i 's,^backend.*,backend = "unix:/run/shop/app.sock",' /etc/cloakroom/cloakroom.toml
mkdir -p $(dirname {GROUP})
printf '[Service]\\nSupplementaryGroups=shop\\n' >{GROUP}
systemctl daemon-reload
"""

# What systemd needs to set up sandboxes itself; /proc/sys stays as the engine protects it.
RIGHTS = [word for name in ("SYS_ADMIN", "SYS_PTRACE") for word in ("--cap-add", name)]
RIGHTS += ["--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"]
RIGHTS += ["--cgroupns", "host", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw"]
RIGHTS += ["--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp"]


class Systemd(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.image = f"{image.NAME}-systemd"
        prepare = re.findall(r"^#     (?!systemctl)(.+)$", UNIT.read_text(), re.MULTILINE)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "cloakroom.service").write_text(UNIT.read_text())
            (folder / "test.target").write_text(TARGET)
            (folder / "cloakroom.toml").write_text(CONFIG)
            text = DOCKERFILE.format(base=BASE, image=image.name, prepare=" && ".join(prepare))
            (folder / "Dockerfile").write_text(text)
            docker("build", *BUILD, "--tag", cls.image, folder)
        cls.addClassCleanup(run, "docker", "rmi", "--no-prune", "--force", cls.image)

    def setUp(self):
        boot = ["--entrypoint", "/lib/systemd/systemd", self.image, "--unit=test.target"]
        self.machine = f"{PREFIX}-systemd"
        docker(
            "run", "--detach", "--name", self.machine, "--env", "container=docker", *RIGHTS, *boot
        )
        self.addCleanup(docker, "rm", "--force", self.machine)
        eventually(
            "the service is up", lambda: self.property("ActiveState") in ("active", "failed")
        )
        self.assertEqual(self.property("ActiveState"), "active", self.journal())

    def do(self, *command, check=True):
        return run("docker", "exec", self.machine, *command, check=check)

    def property(self, name):
        return self.do(
            "systemctl", "show", "--property", name, "--value", "cloakroom", check=False
        ).stdout.strip()

    def journal(self):
        return self.do("journalctl", "--unit", "cloakroom", "--no-pager", check=False).stdout

    def metric(self, name):
        text = self.do("bash", "-c", METRICS).stdout
        return float(
            next(line.split()[1] for line in text.splitlines() if line.startswith(f"{name} "))
        )

    def test_the_unit_is_sound_and_leaves_little_exposed(self):
        self.do("systemd-analyze", "verify", "cloakroom.service")
        # Out of 100.
        said = self.do(
            "systemd-analyze", "security", "--threshold=15", "--no-pager", "cloakroom"
        ).stdout
        print(said.strip().splitlines()[-1].encode("ascii", "ignore").decode().strip(), end=" ")

    def test_it_runs_as_a_user_without_capabilities(self):
        status = self.do("cat", f"/proc/{self.property('MainPID')}/status").stdout
        fields = dict(re.findall(r"^(\w+):\t(.*)$", status, re.MULTILINE))
        self.assertNotIn("0", fields["Uid"].split())
        for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(fields[name], 16), 0, name)
        self.assertEqual((fields["NoNewPrivs"], fields["Seccomp"]), ("1", "2"))

    def test_its_metrics_are_whole(self):
        for name in (
            "process_start_time_seconds",
            "process_resident_memory_bytes",
            "process_open_fds",
        ):
            self.assertGreater(self.metric(name), 0, name)

    def test_it_reloads_takes_a_new_key_and_stops_with_0(self):
        pid, success = self.property("MainPID"), 'cloakroom_config_reloads_total{outcome="success"}'
        self.do("systemctl", "reload", "cloakroom")
        eventually("SIGHUP has come", lambda: self.metric(success) == 1)
        self.do("cloakroom", "key", "rotate")
        eventually("the new key is in use", lambda: self.metric(success) == 2)
        self.assertEqual(self.property("MainPID"), pid)
        self.do("systemctl", "stop", "cloakroom")
        self.assertEqual(
            (self.property("Result"), self.property("ExecMainStatus")), ("success", "0")
        )

    def test_it_reaches_an_app_on_a_socket_of_a_group_that_it_is_put_into(self):
        self.do("bash", "-c", SHOP)
        # Something that listens there, as another user.
        self.do("runuser", "-u", "shop", "--", "cloakroom", "check", "--config", "/run/shop/app.toml")
        docker("exec", "--detach", "--user", "shop", self.machine, "cloakroom", "run", "--config", "/run/shop/app.toml")
        self.do("systemctl", "restart", "cloakroom")
        eventually("it is ready", lambda: self.do("cloakroom", "health", check=False).returncode == 0)
        # Without the group it is not.
        self.do("bash", "-c", f"rm {GROUP} && systemctl daemon-reload && systemctl restart cloakroom")
        eventually("it is up", lambda: self.property("ActiveState") == "active")
        self.assertEqual(self.do("cloakroom", "health", check=False).returncode, 1)

    def test_it_is_started_again_however_often_it_dies(self):
        # One more than systemd lets pass by default.
        for times in range(1, 7):
            self.do("systemctl", "kill", "--signal=KILL", "cloakroom")
            eventually("another start", lambda: self.property("NRestarts") == str(times))
            eventually("it is up", lambda: self.property("ActiveState") == "active")

    def test_a_faulty_configuration_is_not_tried_again(self):
        self.do("bash", "-c", "echo listn = 1 >/etc/cloakroom/cloakroom.toml")
        self.assertNotEqual(self.do("systemctl", "restart", "cloakroom", check=False).returncode, 0)
        self.assertEqual((self.property("ExecMainStatus"), self.property("NRestarts")), ("2", "0"))
        self.assertEqual(self.property("ActiveState"), "failed")
        self.assertIn("did you mean listen?", self.journal())

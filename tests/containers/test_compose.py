"""The stack of docker/compose.yaml: a run goes on in the other worker when the container of one is killed."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_docker import Services
from pytest_docker.plugin import DockerComposeExecutor

import docker

from .conftest import ROOT, make_images

HASTY = Path(__file__).with_name("hasty")
FILES = (ROOT / "docker/compose.yaml", ROOT / "docker/compose.sandbox.yaml", HASTY / "compose.yaml")
WORKERS = ("worker-1", "worker-2")
MEMBERSHIP = {"path_regex": "/users", "method": "POST"}
Until = Callable[[Callable[[], Any]], Any]
TMPFS = {"noexec", "nosuid", "nodev"}


class Stack:
    """The containers of one project, and the API that they serve."""

    def __init__(self, project: str, port: int, secrets: Path, until: Until) -> None:
        self._project, self._url, self._until = project, f"http://127.0.0.1:{port}", until
        self.secrets = [word for path in secrets.iterdir() for word in _secrets(path.read_text())]
        self.key = ""

    def container(self, service: str) -> str:
        """The id of a service's container, which may have ended."""
        engine = docker.from_env()
        labels = [f"com.docker.compose.project={self._project}", f"com.docker.compose.service={service}"]
        (found,) = engine.api.containers(all=True, filters={"label": labels})
        engine.close()
        return str(found["Id"])

    def run(self, service: str, *command: str) -> str:
        """What a command in a container prints."""
        words = ["docker", "exec", self.container(service), *command]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """An answer of the API."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        asked = urllib.request.Request(self._url + path, data, headers, method=method)
        with urllib.request.urlopen(asked) as answer:
            return json.load(answer)

    def ended(self, request: str) -> Any:
        """A run, once it is over."""

        def over() -> Any:
            run = self.call("GET", f"/v1/runs/{request}")
            return run if run["state"] not in ("queued", "running") else None

        return self._until(over)

    def twin(self, path: str, body: Any = None) -> str:
        """An answer of the Meta twin, which only containers reach."""
        program = (
            "import sys, urllib.request as u\n"
            "url, body = sys.argv[1:]\n"
            "sys.stdout.write(u.urlopen(u.Request(url, body.encode() or None)).read().decode())"
        )
        url = f"http://127.0.0.1:8001/_twin/{path}"
        return self.run("sandbox", "python3", "-c", program, url, json.dumps(body) if body else "")


def _secrets(text: str) -> Iterator[str]:
    yield from (word.strip('"}') for word in text.replace("=", " ").split() if len(word.strip('"}')) >= 32)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the stack's secrets."""
    folder = tmp_path_factory.mktemp("stack") / "secrets"
    subprocess.run([ROOT / "docker/make-secrets", folder], check=True)
    return folder


@pytest.fixture(scope="module")
def docker_compose_command() -> str:
    """Either version."""
    return "docker-compose" if shutil.which("docker-compose") else "docker compose"


@pytest.fixture(scope="module")
def docker_compose_file(secrets: Path, images: None) -> Iterator[list[str]]:
    """The stack, small and hasty; the server's port is a free one."""
    made = make_images("cdp-bridge", "cdp-bridge-sandbox", "cdp-bridge-postgres")
    assert made.returncode == 0, made.stderr
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CDP_BRIDGE_SECRETS", str(secrets))
        environment.setenv("CDP_BRIDGE_PORT", "0")
        environment.setenv("CDP_BRIDGE_SANDBOX_PEOPLE", "1000")
        environment.setenv("POSTGRES_IMAGE", "cdp-bridge-postgres")
        environment.setenv("HASTY", str(HASTY))
        yield [str(file) for file in FILES]


@pytest.fixture(scope="module")
def docker_setup(
    docker_compose_command: str, docker_compose_file: list[str], docker_compose_project_name: str
) -> Iterator[str]:
    """Version 1 cannot wait for all to be healthy; the services wait for one another."""
    yield "up --detach"
    # Here, since pytest-docker leaves what a failed start has made.
    compose = DockerComposeExecutor(docker_compose_command, docker_compose_file, docker_compose_project_name)
    compose.execute("down --volumes --timeout 1")


@pytest.fixture(scope="module")
def docker_cleanup() -> list[str]:
    """Nothing more."""
    return []


@pytest.fixture(scope="module")
def stack(docker_services: Services, docker_compose_project_name: str, secrets: Path, until: Until) -> Stack:
    """Everything up, with the example of the sandbox applied."""
    started = Stack(docker_compose_project_name, docker_services.port_for("server", 8080), secrets, until)
    started.run("server", "cdp-bridge", "apply", "-f", "/sandbox/bridge.yaml", "--yes")
    started.key = started.run("server", "cdp-bridge", "keys", "create", "test", "--role", "admin").split()[-1]
    return started


def test_a_run_goes_on_in_the_other_worker_when_the_container_of_one_is_killed(stack: Stack, until: Until) -> None:
    stack.twin("faults", [{"kind": "slow", "seconds": 120, "match": MEMBERSHIP, "times": 1}])
    request = stack.call("POST", "/v1/audiences/vip/sync", {})["id"]
    engine = docker.from_env()
    containers = {service: stack.container(service) for service in WORKERS}

    def busy() -> str | None:
        """The worker with a connector's process, once the platform has got a request that it leaves waiting."""
        if json.loads(stack.twin("faults"))[0]["times"]:
            return None
        running = {name: str(engine.api.top(one, ps_args="-efww")["Processes"]) for name, one in containers.items()}
        return next((name for name, processes in running.items() if "destination-meta" in processes), None)

    engine.api.kill(containers[until(busy)])
    engine.close()

    run = stack.ended(request)
    assert (run["state"], run["request"]["takeovers"], run["request"]["token"]) == ("succeeded", 1, 2)
    assert run["log"]["funnel"]["accepted"] > 0
    (held,) = json.loads(stack.twin("audiences"))
    assert held["held_people"] > 0
    again = stack.ended(stack.call("POST", "/v1/audiences/vip/sync", {})["id"])
    assert (again["state"], again["log"]["adds"], again["log"]["removes"]) == ("succeeded", 0, 0)


def test_every_container_is_hardened_and_has_no_secret_in_its_environment(stack: Stack) -> None:
    engine = docker.from_env()
    for service in ("server", *WORKERS, "database", "queue", "sandbox"):
        facts = engine.api.inspect_container(stack.container(service))
        config, host = facts["Config"], facts["HostConfig"]
        held = {
            "user": int(config["User"].split(":")[0]) > 0,
            "root file system": host["ReadonlyRootfs"],
            "capabilities": host["CapDrop"] == ["ALL"] and not host["CapAdd"] and not host["Privileged"],
            "privileges": "no-new-privileges:true" in host["SecurityOpt"],
            "memory": 0 < host["Memory"] == host["MemorySwap"],
            "processors": host["NanoCpus"] > 0,
            "processes": host["PidsLimit"] > 0,
            "core files": {"Name": "core", "Hard": 0, "Soft": 0} in host["Ulimits"],
            "tmpfs": all(set(one.split(",")) >= TMPFS for one in host.get("Tmpfs", {}).values()),
            "init": host["Init"],
            "health": bool((config.get("Healthcheck") or {}).get("Test")),
            "mounts": all(not one["RW"] for one in facts["Mounts"] if one["Type"] == "bind"),
            "engine": "docker.sock" not in str(facts["Mounts"]),
            "secrets": not any(secret in str(facts) for secret in stack.secrets),
        }
        assert [name for name, so in held.items() if not so] == [], service
    engine.close()

"""Images, compose.yaml and the Helm chart: everything about them that can be checked without Docker or a cluster."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from compose_spec import PyCompose

from cli.roles import MODULES, RoleName
from schemas.topics import topic_specs
from tests.support.prerequisites import REPOSITORY, cache_dir

INFRA = REPOSITORY / "infra"
DOCKERFILE = (INFRA / "docker" / "Dockerfile").read_text(encoding="utf-8")
OMITTED = yaml.safe_load((INFRA / "docker" / "omitted.yaml").read_text(encoding="utf-8"))
FAMILIES = {
    "edge": (RoleName.INGEST, RoleName.EGRESS),
    "workers": (RoleName.FACE_WORKER, RoleName.SPEECH_WORKER),
    "fusion": (RoleName.FUSION,),
}
IMPORTS = {
    "ai-edge-litert": "ai_edge_litert",
    "chdb-core": "chdb",
    "clickhouse-connect": "clickhouse_connect",
    "opencv-contrib-python-headless": "cv2",
}
NOT_OF_A_ROLE = ("training",)
"""Folders of the packages whose modules no role imports."""


def stages():
    """Each stage of the Dockerfile: name, base, instructions."""
    joined = re.sub(r"\\\n", " ", DOCKERFILE)
    parts = re.split(r"^FROM (\S+) AS (\S+)$", joined, flags=re.MULTILINE)[1:]
    return {parts[i + 1]: (parts[i], parts[i + 2].splitlines()) for i in range(0, len(parts), 3)}


def argument(name):
    (value,) = re.findall(rf"^ARG {name}=(\S+)$", DOCKERFILE, re.MULTILINE)
    return value


def instructions(stage):
    """All instructions that make up the stage, those of the stages below it first."""
    found, name = [], stage
    while name in stages():
        base, lines = stages()[name]
        found = [*lines, *found]
        name = base
    return found


@pytest.mark.parametrize("family", ["edge", "workers", "workers-gpu", "fusion", "analytics"])
def test_an_image_runs_as_nobody_says_whether_it_works_and_is_pinned(family):
    lines = instructions(family)
    users = [line for line in lines if line.startswith("USER ")]
    assert users[-1] == "USER 10001:10001"
    assert any(line.startswith("HEALTHCHECK ") for line in lines)
    assert lines.index(users[-1]) > max(i for i, line in enumerate(lines) if line.startswith("RUN "))
    assert not [line for line in lines if line.startswith("ADD ")], "COPY has no surprises"
    copied = [line for line in lines if line.startswith("COPY ") and "--from=" not in line]
    assert copied == [], "final images take what was built, nothing of the context"


def test_bases_are_pinned_to_a_patch_version():
    for name in ("PYTHON_IMAGE", "NODE_IMAGE", "CUDA_IMAGE"):
        _, _, tag = argument(name).partition(":")
        assert re.match(r"\d+\.\d+\.\d+-", tag), tag
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) <= {
        "${PYTHON_IMAGE}", "${NODE_IMAGE}", "${CUDA_IMAGE}", *stages(),
    }  # fmt: skip
    assert "latest" not in DOCKERFILE


def test_python_packages_are_installed_with_their_hashes():
    for line in re.sub(r"\\\n", " ", DOCKERFILE).splitlines():
        for command in re.findall(r"uv pip install [^&]*", line):
            assert "--require-hashes" in command or "--no-deps" in command, command


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_does_without_what_its_image_leaves_out(family):
    """Every module of its packages is imported with those libraries hidden."""
    hidden = sorted({IMPORTS.get(name, name) for name in OMITTED[family]})
    packages = {MODULES[role].split(".")[0] for role in FAMILIES[family]} | {"runtime", "schemas"}
    modules = sorted(
        ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
        for package in packages
        for path in (REPOSITORY / package).rglob("*.py")
        if path.name != "__init__.py" and not set(path.parts) & set(NOT_OF_A_ROLE)
    )
    program = (
        "import importlib, importlib.util, json, sys\n"
        "hidden, modules = json.load(sys.stdin)\n"
        "for name in hidden: sys.modules[name] = None\n"
        "for name in ['cli.main', 'cli.roles', *modules]:\n"
        "    try: importlib.import_module(name)\n"
        "    except ModuleNotFoundError as error:\n"
        "        root = error.name.partition('.')[0]\n"
        "        if root in hidden or not name.startswith('inference_workers.'): raise\n"
        # Engines of extras, which no image has unless it is built with them.
        "        assert importlib.util.find_spec(root) is None, error\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], input=json.dumps([hidden, modules]), cwd=REPOSITORY, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr[-1_500:]


def lock(name):
    text = (INFRA / "docker" / f"{name}.lock").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z0-9._-]+)==", text, re.MULTILINE))


def test_images_have_what_compose_and_the_chart_configure():
    """A Schema Registry, traces, and exactly one onnxruntime."""
    for name, runtime in (("cpu", "onnxruntime"), ("gpu", "onnxruntime-gpu")):
        assert {"authlib", "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"} <= lock(name)
        assert {package for package in lock(name) if package.startswith("onnxruntime")} == {runtime}


def test_what_is_left_out_is_in_the_lock_file_and_can_be_imported_here():
    locked = lock("cpu")
    for family, names in OMITTED.items():
        assert set(names) <= locked, family
        for name in names:
            assert importlib.util.find_spec(IMPORTS.get(name, name)), f"{name}: hiding it would prove nothing"


def compose():
    return yaml.safe_load((INFRA / "compose.yaml").read_text(encoding="utf-8"))


def test_compose_is_what_its_specification_says():
    # Merge keys are resolved before: they are YAML's affair.
    known = PyCompose.from_yaml(yaml.safe_dump(compose())).to_spec()
    assert known.services


def test_compose_runs_every_role_and_pins_every_image():
    services = compose()["services"]
    commands = {tuple(service.get("command") or ()) for service in services.values()}
    assert {(role.value,) for role in RoleName} <= commands
    for name, service in services.items():
        assert re.search(r":v?\d+\.\d+\.\d+", service["image"]), name
        assert not service.get("privileged"), name
    ours = [service for service in services.values() if service["image"].startswith("affectstream-")]
    for service in ours:
        build = service["build"]
        assert (INFRA / build["context"] / build["dockerfile"]).exists()
        assert build["target"] in stages()
        assert service["image"] == f"affectstream-{build['target']}:0.1.0"


def test_compose_mounts_what_is_there_and_names_secrets_that_its_example_has():
    for service in compose()["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in compose()["volumes"] or (INFRA / source).exists(), volume
    text = (INFRA / "compose.yaml").read_text(encoding="utf-8")
    example = (INFRA / "compose.env.example").read_text(encoding="utf-8")
    for name in re.findall(r"\$\{([A-Z_]+)", text):
        assert f"{name}=" in example, name
    assert re.findall(r"=\S", "\n".join(line for line in example.splitlines() if not line.startswith("#"))) == []


def test_compose_and_haproxy_agree_on_the_number_of_partitions():
    services = compose()["services"]
    assert (
        services["haproxy"]["environment"]["PARTITIONS"]
        == services["egress-1"]["environment"]["AFFECTSTREAM_PARTITIONS"]
    )


def tool(name):
    """A tool that checks the chart; tests are skipped everywhere without it, for building it takes minutes."""
    found = cache_dir() / "tools" / name
    path = str(found) if found.exists() else shutil.which(name)
    if path is None:
        pytest.skip(f"OPTIONAL TOOL: {name} is not here: make chart-tools")
    return path


CHART = INFRA / "helm" / "affectstream"
SECRETS = ("--set", f"secrets.tokenKey={'x' * 32}", "--set", "secrets.clickhouseDsn=clickhouse://u:p@c:8123/a")
VARIANTS = {
    "defaults": SECRETS,
    "as small as it goes": (
        *SECRETS, "--set", "keda.enabled=false", "--set", "networkPolicies.enabled=false", "--set",
        "podDisruptionBudgets.enabled=false", "--set", "sharedKeys.nodeAffinity=false",
    ),
    "everything": (
        "--set", "secrets.existing=mine", "--set", "roles.face-worker.gpu=1", "--set", "image.registry=r.example/",
        "--set", "schemaRegistryUrl=http://sr:8081", "--set", "mesh.annotations.sidecar\\.istio\\.io/inject=true",
        "--set", "env.AFFECTSTREAM_TRACE_ENDPOINT=http://c:4318/v1/traces", "--set", "fusion.storageClass=fast",
        "--set", "image.pullSecrets[0].name=pull", "--set", "fusion.replicas=5",
    ),
}  # fmt: skip


def rendered(variant):
    answer = subprocess.run(
        [tool("helm"), "template", "demo", str(CHART), "-n", "affect", *VARIANTS[variant]],
        text=True, capture_output=True, check=False, env={**os.environ, "HELM_CACHE_HOME": "/tmp"},
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_the_chart_has_nothing_that_helm_would_warn_of():
    answer = subprocess.run(
        [tool("helm"), "lint", "--strict", str(CHART), *SECRETS], text=True, capture_output=True, check=False
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_the_chart_makes_is_what_kubernetes_and_keda_take(variant):
    schemas = cache_dir() / "tools" / "kubernetes-schemas"
    if not schemas.exists():
        pytest.skip("OPTIONAL TOOL: the schemas of Kubernetes are not here: make chart-tools")
    answer = subprocess.run(
        [tool("kubeconform"), "-strict", "-summary", "-schema-location",
         str(schemas) + "/{{.ResourceKind}}{{.KindSuffix}}.json"],
        input=rendered(variant), text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "Skipped: 0" in answer.stdout


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_pod_of_the_chart_is_as_confined_as_the_images_allow(variant):
    pods = [
        (each["metadata"]["name"], each["spec"]["template"])
        for each in yaml.safe_load_all(rendered(variant))
        if each and each["kind"] in {"Deployment", "StatefulSet", "Job"}
    ]
    assert len(pods) == 8
    for name, pod in pods:
        assert pod["spec"]["securityContext"]["runAsNonRoot"], name
        assert pod["spec"]["automountServiceAccountToken"] is False, name
        for container in pod["spec"]["containers"]:
            confined = container["securityContext"]
            assert confined["readOnlyRootFilesystem"], name
            assert confined["allowPrivilegeEscalation"] is False, name
            assert confined["capabilities"] == {"drop": ["ALL"]}, name
            assert "memory" in container["resources"]["limits"], name
            assert not container["image"].endswith(":latest"), name


def test_the_chart_s_fusion_replicas_take_every_partition_once():
    """The shell arithmetic of the StatefulSet, run by a shell for each replica."""
    (fusion,) = [each for each in yaml.safe_load_all(rendered("everything")) if each and each["kind"] == "StatefulSet"]
    shell = fusion["spec"]["template"]["spec"]["containers"][0]["command"]
    script = shell[-1].replace("exec affectstream run fusion --partitions", "echo")
    taken = []
    for replica in range(fusion["spec"]["replicas"]):
        said = subprocess.run(
            [*shell[:-1], script],
            env={"HOSTNAME": f"demo-fusion-{replica}"},
            capture_output=True,
            text=True,
            check=True,
        )
        first, _, last = said.stdout.strip().partition("-")
        taken += range(int(first), int(last) + 1)
    assert taken == list(range(12))


def test_the_chart_scales_workers_by_their_own_topics():
    scaled = [each for each in yaml.safe_load_all(rendered("defaults")) if each and each["kind"] == "ScaledObject"]
    lag = {
        each["metadata"]["name"]: trigger["metadata"]
        for each in scaled
        for trigger in each["spec"]["triggers"]
        if trigger["type"] == "kafka"
    }
    assert {name: meta["topic"] for name, meta in lag.items()} == {
        "demo-face-worker": "media.video",
        "demo-speech-worker": "media.audio",
    }
    assert {meta["topic"] for meta in lag.values()} <= set(topic_specs())
    assert {each["spec"]["scaleTargetRef"]["name"] for each in scaled} == {
        "demo-ingest", "demo-egress", "demo-face-worker", "demo-speech-worker",
    }  # fmt: skip


def test_the_chart_carries_the_configuration_that_is_tested_with_haproxy():
    made = {
        each["metadata"]["name"]: each
        for each in yaml.safe_load_all(rendered("defaults"))
        if each and each["kind"] == "ConfigMap"
    }
    data = made["demo-haproxy"]["data"]
    for name in ("haproxy.cfg", "partition.lua"):
        assert data[name].strip() == (INFRA / "haproxy" / name).read_text(encoding="utf-8").strip()
    assert Path(CHART / "haproxy").resolve() == (INFRA / "haproxy").resolve()

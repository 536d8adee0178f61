#!/usr/bin/env python3
"""Holds what `thresher launch` writes against the published interfaces.

usage: check_manifest.py kubernetes < manifest.yaml
       check_manifest.py skypilot task.yaml

kubernetes: a Job against the schemas of the Kubernetes API in strict mode (no unknown field), and the
values that the schemas leave open against tables of this file; a JobSet against this file's own
description of jobset.x-k8s.io/v1alpha2, and each of its Jobs as above. skypilot: SkyPilot itself reads
the task. Prints the document as JSON. Exit status 1 with the reason if something is wrong.
"""

import json
import re
import sys

import yaml

VERSION = "1.33"  # of Kubernetes: podFailurePolicy and backoffLimitPerIndex are stable in it

# path, with * for each item of a list -> the values that the API server takes
ENUMERATIONS = {
    "spec.completionMode": {"Indexed", "NonIndexed"},
    "spec.podReplacementPolicy": {"Failed", "TerminatingOrFailed"},
    "spec.podFailurePolicy.rules.*.action": {"FailJob", "FailIndex", "Ignore", "Count"},
    "spec.podFailurePolicy.rules.*.onExitCodes.operator": {"In", "NotIn"},
    "spec.podFailurePolicy.rules.*.onPodConditions.*.status": {"True", "False", "Unknown"},
    "spec.template.spec.restartPolicy": {"Never", "OnFailure"},
    "spec.template.spec.tolerations.*.operator": {"Exists", "Equal"},
    "spec.template.spec.tolerations.*.effect": {"NoSchedule", "PreferNoSchedule", "NoExecute"},
    "spec.template.spec.securityContext.seccompProfile.type": {
        "RuntimeDefault",
        "Localhost",
        "Unconfined",
    },
}

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


class Wrong(Exception):
    """Something that an API server would refuse."""


def demand(holds, message):
    if not holds:
        raise Wrong(message)


def values_at(document, path):
    """Every value at a path such as "a.*.b"; none where a part of it is absent."""
    found = [document]
    for step in path.split("."):
        if step == "*":
            found = [item for value in found for item in value]
        else:
            found = [value[step] for value in found if step in value]
    return found


def check_job(job):
    import kubernetes_validate

    kubernetes_validate.validate(job, VERSION, strict=True)
    for path, allowed in ENUMERATIONS.items():
        for value in values_at(job, path):
            demand(value in allowed, f"{path}: {value!r} is none of {sorted(allowed)}")
    spec = job["spec"]
    pod = spec["template"]["spec"]
    # What the API server checks beside the schema.
    name = job["metadata"]["name"]
    demand(LABEL.fullmatch(name), f"{name} is no DNS label")
    highest = f"{name}-{spec['completions'] - 1}"
    demand(len(highest) <= 63, f"the pod's host name {highest} is too long")
    if "podFailurePolicy" in spec:
        demand(pod["restartPolicy"] == "Never", "a podFailurePolicy needs restartPolicy Never")
        demand(spec.get("podReplacementPolicy", "Failed") == "Failed", "... and replacement Failed")
        containers = {container["name"] for container in pod["containers"]}
        for rule in spec["podFailurePolicy"]["rules"]:
            demand(
                ("onExitCodes" in rule) != ("onPodConditions" in rule),
                "a rule has exactly one of onExitCodes and onPodConditions",
            )
            if rule["action"] == "FailIndex":
                demand("backoffLimitPerIndex" in spec, "FailIndex needs backoffLimitPerIndex")
            if "onExitCodes" in rule:
                codes = rule["onExitCodes"]["values"]
                demand(codes == sorted(set(codes)), "exit codes are sorted and unique")
                demand(0 not in codes or rule["onExitCodes"]["operator"] != "In", "0 is no failure")
                demand(rule["onExitCodes"]["containerName"] in containers, "no such container")
    volumes = {volume["name"] for volume in pod.get("volumes", [])}
    for container in pod["containers"]:
        for mount in container.get("volumeMounts", []):
            demand(mount["name"] in volumes, f"no volume {mount['name']}")
        for kind in ("requests", "limits"):
            for resource, amount in container.get("resources", {}).get(kind, {}).items():
                demand(
                    re.fullmatch(r"[0-9.]+([EPTGMk]i?|m)?", amount), f"{resource}: {amount} no quantity"
                )


# jobset.x-k8s.io/v1alpha2 as https://jobset.sigs.k8s.io/docs/reference/jobset.v1alpha2/ describes it:
# field -> type, or a table of fields, or a list with the description of its items.
JOBSET_SPEC = {
    "replicatedJobs": [{"name": str, "groupName": str, "replicas": int, "template": dict}],
    "failurePolicy": {
        "maxRestarts": int,
        "restartStrategy": {"Recreate", "BlockingRecreate"},
        "rules": [
            {
                "name": str,
                "action": {"FailJobSet", "RestartJobSet", "RestartJobSetAndIgnoreMaxRestarts"},
                "onJobFailureReasons": [
                    {
                        "BackoffLimitExceeded",
                        "DeadlineExceeded",
                        "FailedIndexes",
                        "MaxFailedIndexesExceeded",
                        "PodFailurePolicy",
                    }
                ],
                "targetReplicatedJobs": [str],
            }
        ],
    },
    "successPolicy": {"operator": {"All", "Any"}, "targetReplicatedJobs": [str]},
    "network": dict,
    "suspend": bool,
    "coordinator": dict,
    "ttlSecondsAfterFinished": int,
}


def check_described(value, description, path):
    if isinstance(description, set):
        demand(value in description, f"{path}: {value!r} is none of {sorted(description)}")
    elif isinstance(description, dict):
        demand(isinstance(value, dict), f"{path} is no map")
        for key, entry in value.items():
            demand(key in description, f"{path}: there is no field {key}")
            check_described(entry, description[key], f"{path}.{key}")
    elif isinstance(description, list):
        demand(isinstance(value, list), f"{path} is no list")
        for index, item in enumerate(value):
            check_described(item, description[0], f"{path}[{index}]")
    else:
        demand(type(value) is description, f"{path} is no {description.__name__}")


def check_jobset(document):
    demand(set(document) == {"apiVersion", "kind", "metadata", "spec"}, "fields of the JobSet")
    demand(document["apiVersion"] == "jobset.x-k8s.io/v1alpha2", "apiVersion")
    check_described(document["spec"], JOBSET_SPEC, "spec")
    demand(document["spec"]["replicatedJobs"], "a JobSet has at least one replicated job")
    for rule in document["spec"].get("failurePolicy", {}).get("rules", []):
        demand(re.fullmatch(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?", rule["name"]), "name of a rule")
    for group in document["spec"]["replicatedJobs"]:
        demand(group["replicas"] >= 1, "replicas")
        template = group["template"]
        demand(set(template) <= {"metadata", "spec"}, "fields of the template")
        name = f"{document['metadata']['name']}-{group['name']}-{group['replicas'] - 1}"
        metadata = {**template.get("metadata", {}), "name": name}
        check_job(
            {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]}
        )


def check_kubernetes():
    documents = list(yaml.safe_load_all(sys.stdin))
    demand(len(documents) == 1, f"{len(documents)} documents")
    document = documents[0]
    if document["kind"] == "JobSet":
        check_jobset(document)
    else:
        demand(document["kind"] == "Job", f"kind {document['kind']}")
        check_job(document)
    return document


def check_skypilot(path):
    import sky

    task = sky.Task.from_yaml(path)
    (resources,) = task.resources
    demand(task.num_nodes == 1, "num_nodes")
    demand(task.run, "nothing to run")
    with open(path, encoding="utf-8") as file:
        document = yaml.safe_load(file)
    demand(resources.use_spot == document["resources"]["use_spot"], "use_spot")
    recovery = resources.job_recovery
    demand(recovery["recover_on_exit_codes"] == [75], f"job_recovery {recovery}")
    return document


def main():
    try:
        if sys.argv[1] == "kubernetes":
            document = check_kubernetes()
        else:
            document = check_skypilot(sys.argv[2])
    except Exception as error:  # noqa: BLE001: whatever a library raises says what is wrong
        sys.exit(f"{type(error).__name__}: {error}")
    print(json.dumps(document))


if __name__ == "__main__":
    main()

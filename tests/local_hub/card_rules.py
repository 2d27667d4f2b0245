"""What the Hub has against the metadata of a card."""

import re

import yaml


def problems_of_card(text: str) -> list[str]:
    """Returns what is wrong: no YAML, no mapping, fields of the wrong kind."""
    block = re.match(r"\s*---\n(.*?)\n---[ \t]*(\n|$)", text, re.DOTALL)
    try:
        metadata = yaml.safe_load(block[1]) if block else {}
    except yaml.YAMLError as error:
        return [f"YAML Metadata Error: {error}"]
    if not isinstance(metadata, dict):
        return ['"metadata" must be of type object']
    kinds = {"tags": list, "datasets": (str, list), "language": (str, list), "license": (str, list)}
    errors = [
        f'"{key}" has the wrong type' for key, kind in kinds.items() if not isinstance(metadata.get(key, []), kind)
    ]
    for key in ("library_name", "pipeline_tag", "base_model_relation"):
        if not isinstance(metadata.get(key, ""), str):
            errors.append(f'"{key}" must be a string')
    for model in metadata.get("model-index", []):
        for result in model.get("results", []):
            for part, field in (("task", "type"), ("dataset", "type"), ("dataset", "name")):
                if field not in result.get(part, {}):
                    errors.append(f'"model-index.results.{part}.{field}" is required')
            if not all("type" in metric and "value" in metric for metric in result.get("metrics", [{}])):
                errors.append('"model-index.results.metrics" must have type and value')
    return errors

"""The assistant that the drill asks: a page, a look-up, and two tools that change something."""

from __future__ import annotations

import json
from pathlib import Path

MODEL = "openai:drill"
SERVICE = "antiphon.evals.bench.drill.service"
PAGE = """# The wing lamp

The wing lamp has a warranty of five years. It runs on two round cells, and it weighs 900 grams.
"""


def write_assistant(folder: Path) -> Path:
    """Write the folder of the assistant and return it."""
    (folder / "knowledge").mkdir(parents=True)
    (folder / "knowledge" / "wing-lamp.md").write_text(PAGE, "utf-8")
    # Every JSON document is a YAML document too.
    (folder / "assistant.yaml").write_text(json.dumps(ASSISTANT, indent=1), "utf-8")
    return folder


ASSISTANT = {
    "name": "Drill",
    "id": "drill",
    "knowledge": {"paths": ["knowledge"], "min_confidence": 0.1},
    "intents": {
        "threshold": 0.2,
        "margin": 0.0,
        "declared": [
            {
                "name": "question",
                "label": "a question about the wing lamp",
                "needs": ["knowledge"],
                "examples": [
                    "Request Q10000: how long is the warranty of the wing lamp?",
                    "Request Q20000: how long is the warranty of the wing lamp?",
                    "How heavy is the wing lamp?",
                ],
            },
            {
                "name": "look_up",
                "label": "what the meter says",
                "needs": ["tools"],
                "tools": ["meter"],
                "examples": [
                    "Request Q10000: what does the meter say now?",
                    "Request Q20000: what does the meter say now?",
                    "Read the meter",
                ],
            },
            {
                "name": "deposit",
                "label": "paying money in",
                "needs": ["tools"],
                "tools": ["pay_in"],
                "examples": [
                    "Request Q10000: pay money into my account",
                    "Request Q20000: pay money into my account",
                    "Pay in ten euros",
                ],
            },
            {
                "name": "dispatch",
                "label": "sending a parcel",
                "needs": ["tools"],
                "tools": ["send_parcel"],
                "examples": [
                    "Request Q10000: send the parcel to my sister",
                    "Request Q20000: send the parcel to my sister",
                    "Post my parcel",
                ],
            },
        ],
    },
    "tools": [
        {"path": f"{SERVICE}:meter", "reply": "The meter says {reading}."},
        {"path": f"{SERVICE}:pay_in", "side_effects": True, "idempotent": True,
         "reply": "Paid in for {reference}."},
        {"path": f"{SERVICE}:send_parcel", "side_effects": True, "approval": True,
         "confirm": "Send the parcel of {reference}?", "reply": "Sent for {reference}."},
    ],
    "models": {
        "catalogue": [
            {"name": MODEL, "context_tokens": 100_000, "input_usd_per_mtok": 1.0,
             "output_usd_per_mtok": 1.0},
        ]
    },
    "memory": {"window_tokens": 50_000},
    "guards": {"input": ["size", "control_characters"], "output": ["links"]},
    # A kept answer would cost no model call and prove nothing.
    "cache": {"enabled": False},
}  # fmt: skip
ASKS = {
    "question": "Request {}: how long is the warranty of the wing lamp?",
    "look_up": "Request {}: what does the meter say now?",
    "deposit": "Request {}: pay money into my account",
    "dispatch": "Request {}: send the parcel to my sister",
}
"""What a client says, by the intent that it is meant to have."""

"""The Mosaic Stack Telemetry API v1 on FastAPI, as strict as pydantic can be: unknown keys, missing
keys and other types are refused."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import FastAPI, Header
from fastapi.responses import JSONResponse
from pydantic import UUID4, AwareDatetime, BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt

Count = Annotated[StrictInt, Field(ge=0, le=2**63 - 1)]
Share = Annotated[StrictFloat, Field(ge=0, le=1)]
Model = Annotated[str, Field(min_length=1, max_length=100)]
Gate = Literal["build", "lint", "test", "coverage", "typecheck", "security"]
TaskType = Literal[
    "planning", "implementation", "code_review", "testing", "debugging", "refactoring",
    "documentation", "configuration", "security_audit", "unknown",
]
Complexity = Literal["low", "medium", "high", "critical"]
Provider = Literal[
    "anthropic", "openai", "openrouter", "ollama", "google", "mistral", "custom", "unknown",
]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Event(Strict):
    instance_id: UUID
    event_id: UUID4
    schema_version: Literal["1.0"]
    timestamp: AwareDatetime
    task_duration_ms: Count
    task_type: TaskType
    complexity: Complexity
    harness: Literal["claude_code", "opencode", "aider", "codex", "api_direct", "unknown"]
    model: Model
    provider: Provider
    estimated_input_tokens: Count
    estimated_output_tokens: Count
    actual_input_tokens: Count
    actual_output_tokens: Count
    estimated_cost_usd_micros: Count
    actual_cost_usd_micros: Count
    quality_gate_passed: StrictBool
    quality_gates_run: list[Gate]
    quality_gates_failed: list[Gate]
    context_compactions: Count
    context_rotations: Count
    context_utilization_final: Share
    outcome: Literal["success", "failure", "partial", "timeout"]
    retry_count: Count
    language: str | None
    repo_size_category: Literal["tiny", "small", "medium", "large", "huge"] | None


class Batch(Strict):
    events: Annotated[list[Event], Field(max_length=100)]


class Query(Strict):
    task_type: TaskType
    model: Model
    provider: Provider
    complexity: Complexity


class Queries(Strict):
    queries: Annotated[list[Query], Field(max_length=50)]


def prediction():
    tokens = {"p10": 10, "p25": 20, "median": 30, "p75": 40, "p90": 50}
    return {
        "prediction": {
            "input_tokens": tokens,
            "output_tokens": tokens,
            "cost_usd_micros": {"median": 7},
            "duration_ms": {"median": 8},
            "correction_factors": {"input": 1.0, "output": 1.0},
            "quality": {"gate_pass_rate": 0.5, "success_rate": 0.75},
        },
        "metadata": {"sample_size": 9, "confidence": "low", "fallback_note": None},
    }


def app(key, header="authorization", busy=0):
    """An application that expects `key` in `header`. Answers `busy` requests with 429 and
    `Retry-After: 1` before it accepts one. `GET /counts` returns what it has received."""
    app = FastAPI()
    ids = set()
    counts = {"requests": 0, "events": 0, "repeated": 0}

    @app.middleware("http")
    async def count(request, call_next):
        counts["requests"] += request.method == "POST"
        return await call_next(request)

    @app.post("/v1/events/batch", status_code=202)
    async def events(batch: Batch, sent: Annotated[str, Header(alias=header)]):
        if sent != key:
            return JSONResponse({"detail": "unknown API key"}, 401)
        if counts["requests"] % (busy + 1):
            return JSONResponse({"detail": "busy"}, 429, headers={"Retry-After": "1"})
        results = []
        for event in batch.events:
            counts["repeated"] += event.event_id in ids
            counts["events"] += event.event_id not in ids
            ids.add(event.event_id)
            results.append({"event_id": str(event.event_id), "status": "accepted", "error": None})
        return {"accepted": len(results), "rejected": 0, "results": results}

    @app.post("/v1/predictions/batch")
    async def predictions(batch: Queries):
        return {"results": [prediction() for _ in batch.queries]}

    @app.get("/counts")
    async def seen():
        return counts

    return app

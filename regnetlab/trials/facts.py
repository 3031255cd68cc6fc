"""What a store keeps about its study beside the trainings, by name, and what each must look like.

A store or a provenance.json may come from elsewhere: what is not as it is written here is refused where it is
read, and need not be looked at again. Most may have further keys.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from regnetlab.trials.terms import Matching, Statistic

_ANY = ConfigDict(strict=True, extra="allow")
_Counts = dict[str, int]  # networks by space
_Percent = Annotated[float | None, Field(ge=0, le=100)]
_Images = Annotated[int | None, Field(ge=1)]


class _Version(BaseModel):
    model_config = _ANY
    version: int


class _Began(BaseModel):
    model_config = _ANY
    checksum: Annotated[str, Field(alias="data.checksum")] = ""
    device: str | None = None


class _Accepted(BaseModel):
    model_config = _ANY
    when: str
    changes: dict[str, Annotated[list[Any], Field(min_length=2, max_length=2)]]


class _Changes(BaseModel):
    model_config = _ANY
    began: _Began
    accepted: list[_Accepted] = []


class _Survey(BaseModel):
    model_config = _ANY
    lines: list[str]


class _Extended(BaseModel):
    model_config = _ANY
    when: str = ""
    n: _Counts
    planned: _Counts


class _Walked(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    planned: _Counts
    left_out: list[str]
    ended: dict[str, Annotated[float, Field(gt=0, le=1)]]
    why: dict[str, str]
    minutes: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]]


class _Regnets(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    inputs: str
    regnets: int


class _Provenance(BaseModel):
    model_config = _ANY
    __pydantic_extra__: dict[str, str | bool | int | float | None]
    data_checksum: str = ""
    survey: _Survey | None = None
    test_groups: str | None = None
    images: _Images = None
    majority_error: _Percent = None
    best_constant_error: _Percent = None
    validation_images: _Images = None
    majority_error_test: _Percent = None
    best_constant_error_test: _Percent = None
    test_images: _Images = None
    margin: Annotated[float, Field(gt=0, le=100)] = 1.0
    statistic: Statistic = "median"
    matched: Matching = "none"
    sequential: bool = False
    walk: bool = False
    planned: _Counts = {}
    extended: list[_Extended] = []
    walked: _Walked | None = None
    derived: _Regnets | None = None

    @model_validator(mode="after")
    def _one_group_an_image(self) -> Self:
        groups = (self.test_groups or "0").split(" ")
        if not all(each.isascii() and each.isdigit() and len(each) < 10 for each in groups):
            raise PydanticCustomError(
                "groups", "test_groups: it has a number for each test image, as in '0 0 1'"
            )
        if self.test_groups and self.test_images not in (None, len(groups)):
            raise PydanticCustomError(
                "groups",
                "test_groups: there are {images} test images, and {groups} have a group",
                {"images": self.test_images, "groups": len(groups)},
            )
        return self


class _Derived(BaseModel):
    model_config = _ANY
    configs: list[str]


class _Contender(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    name: str
    model: str
    family: str
    flops: int
    params: int
    acts: int
    group: str = ""


class _Contest(BaseModel):
    model_config = _ANY
    key: str = ""
    data: str = ""
    device: str | None = None
    contenders: list[_Contender] = []
    chosen: dict[str, float] | None = None


class _Latencies(RootModel[dict[str, dict[str, Annotated[list[float], Field(min_length=1)]]]]):
    """By model and batch size: the median first."""

    model_config = ConfigDict(strict=True)


class _Ended(BaseModel):
    model_config = _ANY
    share: Annotated[float, Field(gt=0, le=1)]
    of: str


class _Effort(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    candidates: Annotated[int, Field(ge=1, le=100)]
    rates: Annotated[list[float], Field(min_length=1, max_length=20)]
    seeds: Annotated[int, Field(ge=1, le=100)]
    epochs: Annotated[int, Field(ge=1, le=100_000)]


class _FinishedFamily(BaseModel):
    model_config = _ANY
    effort: _Effort
    seconds: Annotated[dict[str, Annotated[float, Field(ge=0)]], Field(min_length=1)]
    seeds: Annotated[int | None, Field(ge=1, le=100)] = None
    tested: bool = False


class _Finish(BaseModel):
    model_config = _ANY
    drawn: Annotated[int, Field(ge=1, le=1_000)] = 1
    families: dict[str, _FinishedFamily] = {}


class _Lease(BaseModel):
    model_config = _ANY
    holder: str = ""
    host: str = ""
    pid: int = 0
    running: int = 0


PROVENANCE = "provenance"
_FORMS: Mapping[str, type[BaseModel]] = MappingProxyType(
    {
        "schema": _Version,
        "changes": _Changes,
        PROVENANCE: _Provenance,
        "derived": _Derived,
        "contest": _Contest,
        "latencies": _Latencies,
        "ended": _Ended,
        "finish": _Finish,
        "lease": _Lease,
    }
)


def mistake(name: str, value: object) -> str:
    """What is wrong with what is kept under this name; empty where nothing is, or nothing is kept."""
    if not isinstance(value, dict):
        return "it is no table"
    if name not in _FORMS or (not value and name != "schema"):
        return ""
    try:
        _FORMS[name].model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))[:200]
    return ""

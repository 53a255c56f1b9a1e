"""Processes that share a batch take the steps that one process would take with all of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from process_tasks import TARGETS, descend, refuse, vanish

from lumina_model.errors import UserError
from lumina_model.training.processes import average_gradients, run, share


@pytest.mark.usefixtures("forked")
def test_two_processes_do_what_one_does(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    descend(str(tmp_path / "one"))
    run(2, descend, str(tmp_path / "two"))
    one = float((tmp_path / "one/weight-0").read_text())
    first, second = (float((tmp_path / f"two/weight-{i}").read_text()) for i in range(2))
    assert first == second == pytest.approx(one, rel=1e-5)
    assert abs(one) > 0.1
    logs = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("one", "two")]
    assert len(logs[0]) == len(logs[1]) == 3


def test_a_mistake_in_any_process_is_the_caller_s() -> None:
    """With processes that start as those of a user do."""
    with pytest.raises(UserError, match="expected rank 0, found rank 1"):
        run(2, refuse)


@pytest.mark.usefixtures("forked")
def test_a_process_that_the_system_ends_is_told() -> None:
    with pytest.raises(UserError, match=r"ended by (SIGKILL|the system); fix: see whether memory"):
        run(2, vanish)


def test_alone_there_is_nothing_to_share() -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    parameter.grad = torch.full((2,), 3.0)
    loss = torch.tensor(4.0)
    assert average_gradients([parameter], loss) is loss
    assert parameter.grad.tolist() == [3.0, 3.0]
    assert share(TARGETS) is TARGETS

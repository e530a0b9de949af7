"""What every test stands on: its own cache folder, one thread, and the real data where they are."""

import os
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch) -> Path:
    """A cache of parsed text files that no other test and no user has written to."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("HYDRONB_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with `caravan` and `camels_us`: $HYDRONB_DATA, or `shared/data` beside the
    checkout."""
    given = os.environ.get("HYDRONB_DATA")
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / "caravan").is_dir():
        pytest.skip(
            "needs real data: set HYDRONB_DATA to a folder that holds caravan and camels_us"
        )
    return folder

import pytest


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """No test reads or writes the user's cache or data folders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDSEG_CACHE", str(tmp_path_factory.mktemp("medseg-cache")))
        patch.delenv("MEDSEG_DATA", raising=False)
        yield

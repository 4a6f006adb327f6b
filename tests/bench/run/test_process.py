"""One process of a trial."""

import gc

from bench.run.process import spare_collections


def test_what_is_imported_is_left_out_of_garbage_collections():
    before = gc.get_freeze_count()
    spare_collections.cache_clear()
    kept = [[] for _ in range(1000)]
    spare_collections()
    assert gc.get_freeze_count() >= before + len(kept)
    # Once: what a trial leaves behind must stay collectable.
    frozen = gc.get_freeze_count()
    more = [[] for _ in range(1000)]
    spare_collections()
    assert gc.get_freeze_count() == frozen
    del kept, more

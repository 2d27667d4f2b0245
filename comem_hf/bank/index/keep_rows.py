"""Taking vectors out of a FAISS index: the others keep their codes, and get consecutive ids."""

import numpy as np


def keep_rows(index, live: np.ndarray) -> None:
    """Drop vectors of an index that is in memory; the rest is numbered from 0, in the same order.

    Codes and inverted lists stay as they are, so that scores do not change. A graph (HNSW) is made anew of the stored
    vectors, by one thread: several would make another graph each time.

    Args:
        index (`faiss.Index`): `Flat`, `SQ`, `IVF` or `HNSW`, or one of these behind a transformation.
        live (`np.ndarray`): Which ids stay, bool of shape (vectors,); inverted lists may hold a part of the ids only.
    """
    import faiss

    core = index
    if isinstance(index, faiss.IndexPreTransform):
        core = faiss.downcast_index(index.index)
    if isinstance(core, faiss.IndexIVF):
        _keep_in_lists(core, live)
    elif isinstance(core, faiss.IndexHNSW):
        _keep_in_graph(core, live)
    else:
        core.remove_ids(faiss.IDSelectorBatch(np.flatnonzero(~live)))
    index.ntotal = core.ntotal


def _keep_in_lists(core, live: np.ndarray) -> None:
    import faiss

    core.set_direct_map_type(faiss.DirectMap.NoMap)
    numbers = np.cumsum(live) - 1
    lists, kept = faiss.downcast_InvertedLists(core.invlists), 0
    for number in range(core.nlist):
        size = lists.list_size(number)
        if size == 0:
            continue
        # Views into the lists: all is changed in place, as an index may take most of the memory.
        ids = faiss.rev_swig_ptr(lists.get_ids(number), size)
        codes = faiss.rev_swig_ptr(lists.get_codes(number), size * lists.code_size).reshape(size, -1)
        stays = live[ids]
        count = int(np.count_nonzero(stays))
        ids[:count] = numbers[ids[stays]]
        codes[:count] = codes[stays]
        lists.resize(number, count)
        kept += count
    core.ntotal = kept


def _keep_in_graph(core, live: np.ndarray) -> None:
    import faiss

    vectors = core.reconstruct_n(0, core.ntotal)[live]
    threads = faiss.omp_get_max_threads()
    core.reset()
    faiss.omp_set_num_threads(1)
    try:
        core.add(vectors)
    finally:
        faiss.omp_set_num_threads(threads)

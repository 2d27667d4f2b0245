"""Tables whose binary values are empty, so that checking rows does not read their pictures."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def without_bytes(table: pa.Table) -> pa.Table:
    """Return a table with the same rows, in which binary values are empty; nulls stay nulls.

    No content is copied or touched: in a memory-mapped table, what is not looked at is not read.

    Args:
        table (`pa.Table`): The table.
    """
    columns = [pa.chunked_array([_empty(chunk) for chunk in column.chunks], column.type) for column in table.columns]
    return pa.table(columns, schema=table.schema)


def _empty(array: pa.Array) -> pa.Array:
    kind = array.type
    mask = array.is_null() if array.null_count else None
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        values = np.full(len(array), b"", dtype=object)
        return pa.array(values, kind, mask=None if mask is None else mask.to_numpy(zero_copy_only=False))
    if pa.types.is_struct(kind) and kind.num_fields:
        children = [_empty(array.field(i)) for i in range(kind.num_fields)]
        return pa.StructArray.from_arrays(children, fields=list(kind), mask=mask)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        # The values of a slice begin in the middle of those of the whole; its offsets count from there.
        first, last = array.offsets[0].as_py(), array.offsets[-1].as_py()
        offsets = pc.subtract(array.offsets, pa.scalar(first, array.offsets.type))
        values = _empty(array.values.slice(first, last - first))
        return type(array).from_arrays(offsets, values, type=kind, mask=mask)
    return array

"""The pipeline of Hub repositories, which here opens memory banks by their names too."""

import os

from comem_hf.modeling.pipeline_comem import MemoryImageTextToTextPipeline as MemoryBankObjectPipeline


class MemoryImageTextToTextPipeline(MemoryBankObjectPipeline):
    __doc__ = MemoryBankObjectPipeline.__doc__

    def _open_bank(self, memory_bank):
        if isinstance(memory_bank, (str, os.PathLike)):
            from .bank import MemoryBank

            return MemoryBank.from_pretrained(memory_bank)
        return super()._open_bank(memory_bank)

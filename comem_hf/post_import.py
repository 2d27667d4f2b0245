"""What is to be done when a module has been imported, by whomever, and not before."""

import importlib
import sys
import threading
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from types import ModuleType


Action = Callable[[ModuleType], None]


def when_imported(name: str, action: Action) -> None:
    """
    Runs an action after a module has been executed: at once if it has been, else as soon as it is.

    The action runs inside the import statement of whoever comes first, so it must import nothing that could itself be
    half imported then. A reloaded module gets its action again. Called in the middle of that module's own import, this
    can only wait for the next one.

    Args:
        name (`str`): Full name of the module. It is not imported.
        action (`Callable`): Called with the module; more than once does no harm.
    """
    _finder.actions[name] = action
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    if _finder.is_imported(name):
        action(sys.modules[name])


class _Finder(MetaPathFinder):
    """Finds nothing itself: asks the other finders for a module that is waited for, and goes along with its loader."""

    def __init__(self):
        self.actions: dict[str, Action] = {}
        self._thread = threading.local()

    def find_spec(self, name, path=None, target=None):
        if name not in self.actions or getattr(self._thread, "asked_for", None) == name:
            return None
        if getattr(self._thread, "is_probing", False):
            raise _NotImportedError(name)
        self._thread.asked_for = name  # another finder may hold this one, and hand the question back
        try:
            specs = (finder.find_spec(name, path, target) for finder in list(sys.meta_path))
            spec = next((spec for spec in specs if spec is not None), None)
        finally:
            self._thread.asked_for = None
        if spec is not None and spec.loader is not None:
            spec.loader = _ActingLoader(spec.loader, self.actions[name])
        return spec

    def is_imported(self, name: str) -> bool:
        """Whether a module is there and whole; waits if another thread is importing it now, but never imports it."""
        if name.rpartition(".")[0] not in sys.modules:
            return False
        self._thread.is_probing = True
        try:
            importlib.import_module(name)  # under the module's import lock, which nothing public gives alone
        except _NotImportedError:
            return False
        finally:
            self._thread.is_probing = False
        # This thread itself may be in the middle of it, and is not to be waited for.
        return not getattr(sys.modules[name].__spec__, "_initializing", False)


class _ActingLoader(Loader):
    """Stands in for a loader until the module is executed, then steps aside."""

    def __init__(self, loader: Loader, action: Action):
        self.loader, self.action = loader, action

    def __getattr__(self, name):
        return getattr(self.loader, name)  # what tools ask a loader for that do not import: source, code, resources

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        self.action(module)


class _NotImportedError(ImportError):
    pass


_finder = _Finder()

"""The class that users see, put together from its parts."""

from detent.facade.changing import Changing
from detent.facade.gating import Gating
from detent.facade.judging import Judging
from detent.facade.keeping import Keeping
from detent.facade.loading import Loading
from detent.facade.registering import Registering
from detent.facade.rolling import RollingOut
from detent.facade.serving import Serving
from detent.facade.sharing import Sharing


class Registry(
    Registering,
    Loading,
    Judging,
    Gating,
    Changing,
    Keeping,
    RollingOut,
    Serving,
    Sharing,
):
    """One registry: models, their versions, and what is active.

    Made by `detent.connect`. May be shared between threads. Each method that changes something
    does it in one transaction: when it returns, the change and its event in the journal are
    durable; when it raises, nothing was changed unless the error says so.
    """

"""Ray: evaluating with Ray Data, serving with Ray Serve.

An *engine* (`RayEngine`) scores Parquet files in actors; `deployment` answers requests in replicas,
each of which follows an alias as a worker of ``detent serve`` does.
"""

from detent.integrations.ray.scoring import RayEngine
from detent.integrations.ray.serving import deployment

__all__ = ["RayEngine", "deployment"]

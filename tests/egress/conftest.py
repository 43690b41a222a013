"""The CDK runs the first `node` on the path: the one installed beside Python, as under make."""

import os
import sys
from pathlib import Path

os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

"""Policy and pipeline files: what they may say (model, condition, pipeline), reading them (load), judging them (lint)."""

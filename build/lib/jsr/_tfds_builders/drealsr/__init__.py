"""DRealSR: pairs of real LR and HR photographs."""

"""The metrics of each task that come first wherever there is no room for all."""

MAIN_METRICS = {
    "classification": ("accuracy", "balanced_accuracy", "log_loss", "roc_auc"),
    "regression": ("rmse", "mae", "r2"),
    "multilabel": ("subset_accuracy", "hamming_loss", "log_loss", "roc_auc"),
}

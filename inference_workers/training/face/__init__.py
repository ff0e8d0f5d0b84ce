"""The face emotion network: corpora, network, augmentation, fitting, export. Most needs the extra ``train``."""

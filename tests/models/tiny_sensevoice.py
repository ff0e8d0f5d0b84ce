"""A SenseVoiceSmall of 60,000 weights, drawn at random, in the layout of the real one: FunASR loads it as such."""

import json
from pathlib import Path

import torch
import yaml
from funasr.models.sense_voice.model import SenseVoiceSmall
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from inference_workers.speech.rich_tokens import EVENTS, LANGUAGES, NAMES

SPECIAL = [f"<|{name}|>" for name in (*LANGUAGES, *EVENTS, *NAMES.values(), "OTHER", "EMO_UNKNOWN", "withitn", "woitn")]
SENTENCES = ["the quick brown fox jumps over the lazy dog", "pack my box with five dozen liquor jugs"]
SIZE = 560
ENCODER = {
    "output_size": 16, "attention_heads": 2, "linear_units": 32, "num_blocks": 2, "tp_blocks": 1, "dropout_rate": 0.1,
    "positional_dropout_rate": 0.1, "attention_dropout_rate": 0.1, "input_layer": "pe",
    "pos_enc_class": "SinusoidalPositionEncoder", "normalize_before": True, "kernel_size": 11, "sanm_shfit": 0,
    "selfattention_layer_type": "sanm",
}  # fmt: skip
CONFIG = {
    "encoder": "SenseVoiceEncoderSmall",
    "encoder_conf": ENCODER,
    "model": "SenseVoiceSmall",
    "model_conf": {"length_normalized_loss": True, "sos": 1, "eos": 2, "ignore_id": -1},
    "tokenizer": "SentencepiecesTokenizer",
    "tokenizer_conf": {"bpemodel": None, "unk_symbol": "<unk>", "split_with_space": True},
    "frontend": "WavFrontend",
    # No word of dither, as in the published configuration: FunASR's default is to dither.
    "frontend_conf": {
        "fs": 16_000, "window": "hamming", "n_mels": 80, "frame_length": 25, "frame_shift": 10, "lfr_m": 7, "lfr_n": 6,
        "cmvn_file": None,
    },
}  # fmt: skip
LAYOUT = {
    "framework": "pytorch",
    "task": "auto-speech-recognition",
    "model": {"type": "funasr"},
    "file_path_metas": {
        "init_param": "model.pt",
        "config": "config.yaml",
        "tokenizer_conf": {"bpemodel": "bpe.model"},
        "frontend_conf": {"cmvn_file": "am.mvn"},
    },
}


def build(path: Path, seed: int = 7) -> Path:
    """Write the model into a directory."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.yaml").write_text(yaml.safe_dump(CONFIG, sort_keys=False))
    (path / "configuration.json").write_text(json.dumps(LAYOUT))
    tokens = _tokens(path)
    (path / "tokens.json").write_text(json.dumps(tokens, ensure_ascii=False))
    shift, scale = " ".join(["-8.0"] * SIZE), " ".join(["0.25"] * SIZE)
    (path / "am.mvn").write_text(
        f"<Nnet>\n<Splice> {SIZE} {SIZE}\n[ 0 ]\n<AddShift> {SIZE} {SIZE}\n<LearnRateCoef> 0 [ {shift} ]\n"
        f"<Rescale> {SIZE} {SIZE}\n<LearnRateCoef> 0 [ {scale} ]\n</Nnet>\n"
    )
    torch.manual_seed(seed)
    model = SenseVoiceSmall(
        encoder=CONFIG["encoder"],
        encoder_conf=ENCODER,
        input_size=SIZE,
        vocab_size=len(tokens),
        **CONFIG["model_conf"],
    )
    with torch.no_grad():
        # As drawn, the CTC layer says the same of every sound.
        model.ctc.ctc_lo.weight.mul_(6.0)
    torch.save(model.state_dict(), path / "model.pt")
    return path


def _tokens(path: Path) -> list[str]:
    """A tokenizer of letters and special tokens, elsewhere than in the real list of 25,055: ids are to be read."""
    name = path / LAYOUT["file_path_metas"]["tokenizer_conf"]["bpemodel"]
    SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES),
        model_prefix=str(name.with_suffix("")),
        model_type="char",
        vocab_size=200,
        hard_vocab_limit=False,
        user_defined_symbols=SPECIAL,
        minloglevel=2,
    )
    pieces = SentencePieceProcessor(model_file=str(name))
    return [pieces.id_to_piece(number) for number in range(pieces.get_piece_size())]

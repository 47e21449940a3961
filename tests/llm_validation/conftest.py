"""What the tests of training share: one thread, and a tiny model that knows the form of answers."""

import pytest

torch = pytest.importorskip("torch")


@pytest.fixture
def one_thread():
    """One CPU thread: more only wait for each other on a tiny model."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """A tiny model that answers right now and then, saved with its tokenizer."""
    from llm_validation.initial_model import save
    from llm_validation.tasks import load_task
    from llm_validation.tiny_model import character_tokenizer, tiny_llama
    from llm_validation.warm_up import warm_up

    tokenizer = character_tokenizer()
    model = tiny_llama(tokenizer, seed=0)
    train = load_task("arithmetic").train
    warm_up(model, tokenizer, train, initial_success=0.3, steps=60, seed=0)
    folder = tmp_path_factory.mktemp("tiny") / "model"
    save(model, tokenizer, folder)
    return folder

#!/usr/bin/env python3
"""Put every model that the tests find by name into one directory.

    assemble_models.py DIRECTORY

In DIRECTORY, which is made when it is not there, are then

    m01_plain, c01_three_labels ...   the models of test/reference, each with the files of its tokenizer
    base_shape                        a random model of the shape of albert-base-v2 (made with numpy)
    small, classifier, multilabel, nli, score, tokens, answers, choice
                                      random models of test/make_models.py, with each of the heads

and everybody may read them, the server's user for one, unless a directory
above is closed; that is said then.
"""
import hashlib
import json
import os
import shutil
import subprocess
import sys

TEST = os.path.dirname(os.path.abspath(__file__))
REFERENCE = os.path.join(TEST, "reference")
HEADS = ("classifier", "multilabel", "nli", "score", "tokens", "answers", "choice")


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def copy_files(source, target):
    os.makedirs(target, exist_ok=True)
    for name in sorted(os.listdir(source)):
        shutil.copyfile(os.path.join(source, name), os.path.join(target, name))


def reference_models(directory):
    with open(os.path.join(REFERENCE, "models", "manifest.json")) as file:
        manifest = json.load(file)
    for name, about in sorted(manifest.items()):
        target = os.path.join(directory, name)
        copy_files(os.path.join(REFERENCE, "models", name), target)
        for file, wanted in about["files"].items():
            if sha256(os.path.join(target, file)) != wanted["sha256"]:
                sys.exit("%s/%s is not the file that manifest.json names: was it changed in the checkout?" % (name, file))
        copy_files(os.path.join(REFERENCE, "tokenizers", about["tokenizer"]), target)


def base_shape(directory):
    target = os.path.join(directory, "base_shape")
    run(os.path.join(REFERENCE, "gen", "make_base_shape.py"), target)
    with open(os.path.join(REFERENCE, "goldens", "base_shape.jsonl")) as file:
        wanted = json.loads(file.readline())["sha256"]
    if sha256(os.path.join(target, "model.safetensors")) != wanted:
        sys.exit("base_shape/model.safetensors has other weights than its answers: another generator of random numbers?")
    copy_files(os.path.join(REFERENCE, "tokenizers", "real30k"), target)


def small_models(directory):
    run(os.path.join(TEST, "make_models.py"), directory, "small:hidden_size=32", *("%s:head=%s,seed=3" % (head, head) for head in HEADS))


def run(script, *arguments):
    subprocess.run([sys.executable, script, *arguments], check=True, stdout=subprocess.DEVNULL)


def for_everybody(directory):
    for path, _, files in os.walk(directory):
        os.chmod(path, 0o755)
        for name in files:
            os.chmod(os.path.join(path, name), 0o644)


def closed_directory(path):
    """The nearest directory at or above path that others cannot enter."""
    path = os.path.abspath(path)
    while True:
        if not os.stat(path).st_mode & 0o001:
            return path
        if path == os.path.dirname(path):
            return None
        path = os.path.dirname(path)


def main(arguments):
    if len(arguments) != 1:
        sys.exit(__doc__)
    directory = arguments[0]
    os.makedirs(directory, exist_ok=True)
    reference_models(directory)
    base_shape(directory)
    small_models(directory)
    for_everybody(directory)
    closed = closed_directory(directory)
    if closed is not None:
        print("note: other users, such as a running server's, cannot read %s, because %s is closed to them;\n"
              "'make installcheck ALBERT_TEST_MODELS=DIRECTORY' puts the models elsewhere" % (directory, closed), file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])

"""Writes every file of vectors anew."""

from tools.specimens.files import FILES, document, path_of


def main() -> None:
    for name in FILES:
        path_of(name).write_text(document(name))
        print(path_of(name).name)


if __name__ == "__main__":
    main()

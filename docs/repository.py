"""A preprocessor of mdbook, named in book.toml: makes the site whole without the repository beside it.

README.md becomes the first page. Files and folders of the repository that pages link to become pages
behind the others, so that no link leads out of the site.
"""

import json
import re
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
LINK = re.compile(r"(\]\()([^)\s]+)(\))")
FENCE = re.compile(r"(?m)^ *```")
LANGUAGES = {".yml": "yaml", ".toml": "toml", ".py": "python", ".rs": "rust", ".json": "json", ".service": "ini"}


class Site:
    def __init__(self):
        # What has been linked to and has to be a page, in order: its path in the repository.
        self.wanted = []

    def text(self, path, page):
        """The text of a file of the repository, with links for the page of the site that it becomes."""
        return self.linked(path.read_text(encoding="utf-8"), path.parent, page)

    def linked(self, text, folder, page):
        parts = FENCE.split(text)
        fences = FENCE.findall(text) + [""]
        # Every other part is code.
        parts[::2] = [LINK.sub(lambda link: self.link(link, folder, page), part) for part in parts[::2]]
        return "".join(part + fence for part, fence in zip(parts, fences, strict=True))

    def link(self, link, folder, page):
        target, _, anchor = link[2].partition("#")
        if re.match(r"[a-z]+:", target) or not target:
            return link[0]
        file = (folder / target).resolve()
        up = "../" * page.count("/")
        return f"{link[1]}{up}{self.place(file)}{'#' + anchor if anchor else ''}{link[3]}"

    def place(self, file):
        """Where a file of the repository is in the site."""
        if file == ROOT / "README.md":
            return "index.md"
        if file.is_relative_to(DOCS) and file.is_file():
            return str(file.relative_to(DOCS))
        if file not in self.wanted:
            self.wanted.append(file)
        return page_of(file)

    def pages(self):
        """The pages that links lead to; they may lead to more."""
        done = 0
        while done < len(self.wanted):
            file = self.wanted[done]
            done += 1
            yield file, self.page(file)

    def page(self, file):
        name, page = file.relative_to(ROOT), page_of(file)
        if file.is_dir():
            inside = sorted(path for path in file.iterdir() if has_page(path))
            rows = "".join(f"- [{path.name}]({path.name})\n" for path in inside)
            readme = file / "README.md"
            above = self.text(readme, page) if readme.is_file() else f"# {name}\n"
            return above + "\n" + self.linked(rows, file, page)
        if file.suffix == ".md":
            return self.text(file, page)
        text = file.read_text(encoding="utf-8", errors="replace")
        return f"# {name}\n\n````{LANGUAGES.get(file.suffix, '')}\n{text}````\n"


def has_page(path):
    if path.is_dir():
        return path.name != "__pycache__"
    try:
        return bool(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        return False


def page_of(file):
    """Named so that no page takes the place of another, or of a folder's index."""
    return f"repository/{file.relative_to(ROOT)}.page.md"


def chapter(name, content, path):
    fields = {"name": name, "content": content, "number": None, "sub_items": [], "path": path}
    return {"Chapter": {**fields, "source_path": path, "parent_names": []}}


def main():
    if sys.argv[1:2] == ["supports"]:
        return
    _, book = json.load(sys.stdin)
    site = Site()
    for item in book["items"]:
        if "Chapter" in item:
            page = item["Chapter"]
            page["content"] = site.linked(page["content"], DOCS, page["path"])
    first = chapter("cloakroom", site.text(ROOT / "README.md", "index.md"), "index.md")
    rest = [chapter(str(file.relative_to(ROOT)), text, page_of(file)) for file, text in site.pages()]
    rest.sort(key=lambda item: item["Chapter"]["name"])
    files = chapter("Files of the repository", "# Files of the repository\n", "repository/index.md")
    listed = "".join(f"- [{c['Chapter']['name']}]({c['Chapter']['path'].removeprefix('repository/')})\n" for c in rest)
    files["Chapter"]["content"] += "\nThose that pages of this site name.\n\n" + listed
    files["Chapter"]["sub_items"] = rest
    book["items"] = [first, *book["items"], "Separator", files]
    json.dump(book, sys.stdout)


if __name__ == "__main__":
    main()

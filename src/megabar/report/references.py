"""BibTeX of what a run rests on, found by the DOIs in its citations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_DOI = re.compile(r"10\.\d{4,9}/[^\s,;\"<>]+[^\s,;.\"<>)]")


@dataclass(frozen=True)
class Reference:
    """One BibTeX entry; `fields` in the order they are written."""

    key: str
    kind: str
    fields: tuple[tuple[str, str], ...]

    @property
    def doi(self) -> str:
        return dict(self.fields).get("doi", "")

    def bibtex(self) -> str:
        body = "".join(f"  {name} = {{{value}}},\n" for name, value in self.fields)
        return f"@{self.kind}{{{self.key},\n{body}}}\n"

    def text(self) -> str:
        """One line for people."""
        f = {name: _plain(value) for name, value in self.fields}
        if self.kind == "misc":
            return f.get("note", f.get("title", self.key))
        people = f["author"].split(" and ")
        names = people[0].split(",")[0] + (" et al." if len(people) > 2 else
                                          " and " + people[1].split(",")[0] if len(people) == 2 else "")
        where = " ".join(filter(None, [f.get("journal", ""), f.get("volume", ""), f.get("pages", "")]))
        return f"{names}: {f['title']}. {where} ({f['year']})."


def _plain(value: str) -> str:
    """LaTeX of a field as plain text: the accents that stand below, dashes, braces."""
    for latex, letter in (('{\\"u}', "ü"), ("{\\o}", "ø"), ("---", "—"), ("--", "–"), ("{", ""), ("}", "")):
        value = value.replace(latex, letter)
    return value


def _article(key: str, doi: str, author: str, title: str, journal: str, volume: str, pages: str,
             year: str) -> Reference:
    fields = (("author", author), ("title", title), ("journal", journal), ("volume", volume), ("pages", pages),
              ("year", year), ("doi", doi))
    return Reference(key, "article", tuple((name, value) for name, value in fields if value))


_KNOWN = {reference.doi: reference for reference in (
    _article("Thompson2022", "10.1016/j.cpc.2021.108171",
             "Thompson, Aidan P. and Aktulga, H. Metin and Berger, Richard and others",
             "{LAMMPS} -- a flexible simulation tool for particle-based materials modeling at the atomic, meso, and "
             "continuum scales", "Comput. Phys. Commun.", "271", "108171", "2022"),
    _article("Fan2022", "10.1063/5.0106617", "Fan, Zheyong and Wang, Yanzhou and Ying, Penghua and others",
             "{GPUMD}: A package for constructing accurate machine-learned potentials and performing highly efficient "
             "atomistic simulations", "J. Chem. Phys.", "157", "114801", "2022"),
    _article("Song2024", "10.1038/s41467-024-54554-x", "Song, Keke and Zhao, Rui and Liu, Jiahui and others",
             "General-purpose machine-learned potential for 16 elemental metals and their alloys", "Nat. Commun.",
             "15", "10208", "2024"),
    _article("Sato2025", "10.1073/pnas.2413480122",
             "Sato, Ryuhei and Conway, Lewis J. and Zhang, Di and Pickard, Chris J. and Akagi, Kazuto and Sau, Kartik "
             "and Li, Hao and Orimo, Shin-ichi", "Surface melting-driven hydrogen absorption for high-pressure "
             "polyhydride synthesis", "Proc. Natl. Acad. Sci. U.S.A.", "", "", "2025"),
    _article("Steinhardt1983", "10.1103/PhysRevB.28.784",
             "Steinhardt, Paul J. and Nelson, David R. and Ronchetti, Marco",
             "Bond-orientational order in liquids and glasses", "Phys. Rev. B", "28", "784", "1983"),
    _article("Lechner2008", "10.1063/1.2977970", "Lechner, Wolfgang and Dellago, Christoph",
             "Accurate determination of crystal structures based on averaged local bond order parameters",
             "J. Chem. Phys.", "129", "114707", "2008"),
    _article("Avrami1939", "10.1063/1.1750380", "Avrami, Melvin", "Kinetics of phase change. {I} General theory",
             "J. Chem. Phys.", "7", "1103", "1939"),
    _article("Kunsch1989", "10.1214/aos/1176347265", "K{\\\"u}nsch, Hans R.",
             "The jackknife and the bootstrap for general stationary observations", "Ann. Statist.", "17", "1217",
             "1989"),
    _article("Togo2024", "10.1080/27660400.2024.2384822",
             "Togo, Atsushi and Shinohara, Kohei and Tanaka, Isao",
             "Spglib: a software library for crystal symmetry search", "Sci. Technol. Adv. Mater. Methods", "4",
             "2384822", "2024"),
    _article("Ong2013", "10.1016/j.commatsci.2012.10.028",
             "Ong, Shyue Ping and Richards, William Davidson and Jain, Anubhav and others",
             "Python Materials Genomics (pymatgen): A robust, open-source {Python} library for materials analysis",
             "Comput. Mater. Sci.", "68", "314", "2013"),
    _article("Larsen2017", "10.1088/1361-648X/aa680e",
             "Larsen, Ask Hjorth and Mortensen, Jens J{\\o}rgen and Blomqvist, Jakob and others",
             "The atomic simulation environment -- a {Python} library for working with atoms",
             "J. Phys.: Condens. Matter", "29", "273002", "2017"),
    _article("Martyna1994", "10.1063/1.467468", "Martyna, Glenn J. and Tobias, Douglas J. and Klein, Michael L.",
             "Constant pressure molecular dynamics algorithms", "J. Chem. Phys.", "101", "4177", "1994"),
    _article("Shinoda2004", "10.1103/PhysRevB.69.134103",
             "Shinoda, Wataru and Shiga, Motoyuki and Mikami, Masuhiro",
             "Rapid estimation of elastic constants by molecular dynamics simulation under constant stress",
             "Phys. Rev. B", "69", "134103", "2004"),
    _article("Tasker1979", "10.1088/0022-3719/12/22/036", "Tasker, P. W.", "The stability of ionic crystal surfaces",
             "J. Phys. C: Solid State Phys.", "12", "4977", "1979"),
    _article("Loubeyre1996", "10.1038/383702a0", "Loubeyre, P. and LeToullec, R. and Hausermann, D. and others",
             "X-ray diffraction and equation of state of hydrogen at megabar pressures", "Nature", "383", "702",
             "1996"),
    _article("Perdew1996", "10.1103/PhysRevLett.77.3865",
             "Perdew, John P. and Burke, Kieron and Ernzerhof, Matthias",
             "Generalized gradient approximation made simple", "Phys. Rev. Lett.", "77", "3865", "1996"),
    _article("Mortensen2024", "10.1063/5.0182685",
             "Mortensen, Jens J{\\o}rgen and Larsen, Ask Hjorth and Kuisma, Mikael and others",
             "{GPAW}: An open {Python} package for electronic structure calculations", "J. Chem. Phys.", "160",
             "092503", "2024"),
)}
_WITHOUT_DOI = {"nat. commun. 15, 10208": "10.1038/s41467-024-54554-x"}
"""Citations that our own records give without a DOI."""


def references(citations: Iterable[str], *more: str) -> list[Reference]:
    """An entry for every DOI in the citations and in `more` (bare DOIs), each once, in order; what has no known DOI
    becomes a note."""
    found: dict[str, Reference] = {}
    for citation in [*citations, *more]:
        for part in str(citation).split(";"):
            text = " ".join(part.split())
            dois = _DOI.findall(text) or [doi for words, doi in _WITHOUT_DOI.items() if words in text.lower()]
            for doi in dois or [""]:
                if doi in _KNOWN:
                    found.setdefault(doi, _KNOWN[doi])
                elif text:
                    key = f"note{sum(r.kind == 'misc' for r in found.values()) + 1}"
                    fields = (("note", text), *((("doi", doi),) if doi else ()))
                    found.setdefault(doi or text, Reference(key, "misc", fields))
    return list(found.values())


def bibtex(entries: Sequence[Reference]) -> str:
    return "\n".join(entry.bibtex() for entry in entries)

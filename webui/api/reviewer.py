"""Who the person is that reviews."""

from typing import Annotated

from fastapi import HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field

from inference.reviews import PERSON_NAME_LENGTH, InvalidReview, Reviewer

Name = Annotated[str, Field(min_length=1, max_length=PERSON_NAME_LENGTH)]


class ReviewerBody(BaseModel):
    """A person, by a name as DICOM writes names (`Family^Given`) or in any other form."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    id: Annotated[str, Field(max_length=PERSON_NAME_LENGTH)] | None = None


class Identify:
    """Tells who sent a request.

    Args:
        header: name of the header in which a trusted reverse proxy puts the user it has authenticated; empty
            where there is none: then the person is whoever the request says, unverified.
    """

    def __init__(self, header: str) -> None:
        self._header = header

    @property
    def by_proxy(self) -> bool:
        """A proxy says who sends requests; nobody can be anybody else."""
        return bool(self._header)

    def user(self, request: Request) -> str:
        """Whom the proxy named; empty where there is none, or it named nobody."""
        return request.headers.get(self._header, "").strip() if self._header else ""

    def reviewer(self, request: Request, said: ReviewerBody | None) -> Reviewer:
        """The reviewer; refuses with 401, 403 or 400 what names none or another."""
        user = self.user(request)
        if self._header and not user:
            raise HTTPException(401, f"the proxy named no user in {self._header}")
        if self._header and said is not None and user not in {said.name, said.id}:
            raise HTTPException(403, f"you are {user}; reviews are in your own name")
        if user:
            return _reviewer(said.name if said and said.id == user else user, user)
        if said is None:
            raise HTTPException(400, "reviewer: who are you?")
        return _reviewer(said.name, said.id or "")


def _reviewer(name: str, number: str) -> Reviewer:
    try:
        return Reviewer(name.strip(), number)
    except InvalidReview as error:
        raise HTTPException(400, str(error)) from None

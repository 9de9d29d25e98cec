"""The addresses of the page, as a Starlette application."""

import contextlib
import json
from pathlib import Path
import zipfile

import jinja2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

import jsr
from jsr import clips, page, pictures
from jsr.errors import UserError
from jsr.serve import offers, runs, views, work
from jsr.serve.guard import Guard

HERE = Path(__file__).parent
MOST_MODELS = 3  # that are compared
_MOST_ORDER = 1 << 20  # bytes of a request that is no file
_PART = 1 << 20  # bytes of a file that go into a ZIP at once
_KEPT = {"Cache-Control": "private, max-age=3600"}  # of files whose address is theirs alone
# What a run's report brings along is in the file: styles and pictures; it runs nothing
_REPORT = {"Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
                                      "frame-ancestors 'none'"}


class Page:
    """The answers to the page's addresses.

    Args:
      shelf: jsr.serve.uploads.Shelf.
      queue: jsr.serve.work.Queue.
      run_folders: folders that hold runs.
      ready: called once it answers.
    """

    def __init__(self, shelf, queue, run_folders=(), ready=lambda: None):
        self.shelf, self.queue, self.run_folders, self._ready = shelf, queue, run_folders, ready
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True, undefined=jinja2.StrictUndefined,
            trim_blocks=True, lstrip_blocks=True)

    def app(self, port, token):
        """The application, guarded.

        Args:
          port: port of the server.
          token: token that lets a browser in, in `/?token=`.
        """
        inner = Starlette(lifespan=self._lifespan, exception_handlers={
            HTTPException: self._http_error, UserError: self._user_error, Exception: self._mistake}, routes=[
            Route("/", self.start),
            Route("/runs", self.list_runs),
            Route("/runs/{run}", self.show_run),
            Route("/runs/{run}/live", self.live_run),
            Route("/runs/{run}/report", self.report),
            Route("/runs/{run}/pictures/{number:int}/{step:int}/{cell}", self.run_picture),
            Route("/state", self.state),
            Route("/sources", self.take, methods=["POST"]),
            Route("/sources/{source}", self.remove, methods=["DELETE"]),
            Route("/sources/{source}/{size}", self.source_view),
            Route("/tasks", self.order, methods=["POST"]),
            Route("/tasks/{task}/cancel", self.cancel, methods=["POST"]),
            Route("/pause", self.pause, methods=["POST"]),
            Route("/results/{task}", self.result),
            Route("/results/{task}/{size}", self.result_view),
            Route("/results.zip", self.archive),
            Route("/static/jsr.css", self._style),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ])
        return Guard(inner, port=port, token=token, refused=self._refused)

    @contextlib.asynccontextmanager
    async def _lifespan(self, app):
        del app
        self._ready()
        yield
        await run_in_threadpool(self.queue.close)
        self.shelf.close()  # here, since SIGTERM ends the process behind it

    # -- pages

    async def start(self, request):
        """The page of pictures."""
        del request
        found = await run_in_threadpool(offers.offers, self._run_names())
        return self._page("pictures.html", here="pictures", automatic=found.pop(offers.AUTOMATIC.id),
                          offers=found.values(), most_models=MOST_MODELS,
                          endings=[*pictures.READABLE, *clips.READABLE], out=str(self.queue.out or ""))

    async def list_runs(self, request):
        """The list of runs."""
        del request

        def looked():
            return [runs.look(run) for run in runs.find(self.run_folders).values()]

        return self._page("runs.html", here="runs", runs=await run_in_threadpool(looked),
                          folders=[str(folder) for folder in self.run_folders])

    async def show_run(self, request):
        """The page of one run."""
        run = self._run(request)
        return self._page("run.html", here="runs", run=await run_in_threadpool(runs.look, run),
                          version=runs.version(run))

    async def live_run(self, request):
        """The changing part of that page, as HTML; 204 where nothing did."""
        run = self._run(request)
        version = runs.version(run)
        if request.query_params.get("since") == version:
            return Response(status_code=204)
        response = self._page("run_live.html", run=await run_in_threadpool(runs.look, run))
        response.headers["X-Version"] = version
        return response

    async def report(self, request):
        """The report that a finished run has left."""
        file = self._run(request).folder / "report.html"
        if not file.is_file():
            raise HTTPException(404)
        return FileResponse(file, media_type="text/html", headers=_REPORT)

    async def run_picture(self, request):
        """One crop of a validation image."""
        at = request.path_params
        found = await run_in_threadpool(runs.picture, self._run(request), at["number"], at["step"], at["cell"])
        if found is None:
            raise HTTPException(404)
        return Response(found, media_type="image/png", headers=_KEPT)

    # -- pictures

    async def state(self, request):
        """All that the page of pictures shows, as JSON; 204 where that is the version that it has."""
        if request.query_params.get("since") == str(self.queue.version):
            return Response(status_code=204)
        return JSONResponse(self.queue.state())

    async def take(self, request):
        """Takes one file in, the body of the request."""
        length = request.headers.get("content-length", "")
        try:
            source = await self.shelf.take(
                request.query_params.get("name", ""), request.query_params.get("within", ""),
                int(length) if length.isdecimal() else None, request.stream())
        except ClientDisconnect:  # a closed tab
            return Response(status_code=400)
        self.queue.changed()
        return JSONResponse({"id": source.id}, 201)

    async def remove(self, request):
        """Removes a picture with its results."""
        self._source(request)
        await run_in_threadpool(self.queue.remove, request.path_params["source"])
        return Response(status_code=204)

    async def order(self, request):
        """Puts tasks into the queue."""
        wanted = await _order(request)
        there = await run_in_threadpool(offers.offers, self._run_names())
        models, sources = wanted.get("models"), wanted.get("sources")
        if not isinstance(models, list) or not 1 <= len(models) <= MOST_MODELS or not all(
                isinstance(each, str) and each in there for each in models):
            raise UserError(f"model: choose one, or up to {MOST_MODELS} to compare")
        if not isinstance(sources, list) or not all(isinstance(each, str) for each in sources) or not (
                found := [self.shelf.sources[each] for each in sources if each in self.shelf.sources]):
            raise UserError("there is nothing to upscale; add a picture first")
        settings = work.settings_of(wanted.get("size", {}), wanted.get("strength", 1))
        tasks = [self.queue.add(source, there[model], settings) for source in found for model in dict.fromkeys(models)]
        return JSONResponse({"tasks": [task.id for task in tasks]}, 201)

    async def cancel(self, request):
        """Cuts one task short."""
        self.queue.cancel(self._task(request).id)
        return Response(status_code=204)

    async def pause(self, request):
        """Lets the queue stand still, or go on."""
        self.queue.pause((await _order(request)).get("paused") is True)
        return Response(status_code=204)

    async def source_view(self, request):
        """A picture for the screen."""
        source = self._source(request)
        return await self._view(source.path, source.path.parent, request.path_params["size"])

    async def result_view(self, request):
        """A result for the screen."""
        task = self._finished(request)
        return await self._view(task.result, task.folder, request.path_params["size"])

    async def result(self, request):
        """A result as the file that it is."""
        task = self._finished(request)
        return FileResponse(task.result, media_type="application/octet-stream", filename=task.result.name)

    async def archive(self, request):
        """All results in one ZIP file, which is made as it goes out."""
        del request
        tasks = [task for task in list(self.queue.tasks.values()) if task.state == work.DONE]
        if not tasks:
            raise UserError("there are no results yet")
        return StreamingResponse(_zipped(tasks), media_type="application/zip", headers={
            "Content-Disposition": 'attachment; filename="jsr-results.zip"'})

    async def _view(self, path, folder, size):
        make = {"view": views.whole, "thumbnail": views.thumbnail}.get(size)
        if make is None:
            raise HTTPException(404)
        file, kind = await run_in_threadpool(make, path, folder / f".{size}")
        return FileResponse(file, media_type=kind, headers=_KEPT)

    def _source(self, request):
        return _found(self.shelf.sources, request.path_params["source"])

    def _task(self, request):
        return _found(self.queue.tasks, request.path_params["task"])

    def _finished(self, request):
        task = self._task(request)
        if task.state != work.DONE:
            raise HTTPException(404)
        return task

    def _run(self, request):
        return _found(runs.find(self.run_folders), request.path_params["run"])

    def _run_names(self):
        return [(run.name, run.folder) for run in runs.find(self.run_folders).values()]

    # -- answers

    async def _style(self, request):
        del request
        return FileResponse(page.CSS, media_type="text/css")

    def _page(self, name, status=200, **values):
        return HTMLResponse(self._templates.get_template(name).render(version=values.pop("version", ""),
                                                                      jsr=jsr.__version__, **values), status)

    def _refused(self, request, status, text):
        if "text/html" in request.headers.get("accept", ""):
            return self._page("refused.html", status, here="", text=text, again=status == 403)
        return JSONResponse({"error": text}, status)

    async def _http_error(self, request, error):
        text = ("There is nothing at this address; it may have been removed." if error.status_code == 404 else
                str(error.detail))
        return self._refused(request, error.status_code, text)

    async def _user_error(self, request, error):
        return self._refused(request, 400, str(error))

    async def _mistake(self, request, error):
        return self._refused(request, 500, f"This failed unexpectedly, {type(error).__name__}; it is a mistake in jsr, "
                                           "please report it with what the terminal says.")


async def _order(request):
    """The JSON object in a request; UserError of none, or of a long one."""
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > _MOST_ORDER:
            raise UserError("the request is too long")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if request.headers.get("content-type") != "application/json" or not isinstance(found, dict):
        raise UserError("the request is no JSON object")
    return found


def _found(table, identity):
    if identity not in table:
        raise HTTPException(404)
    return table[identity]


class _Sink:
    """A file that is only written to, whose bytes are taken as they come."""

    def __init__(self):
        self._parts = []

    def write(self, data):
        self._parts.append(bytes(data))
        return len(data)

    def flush(self):
        """There is nothing to flush."""

    def taken(self):
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _zipped(tasks):
    """Yields the bytes of a ZIP of the results of tasks, not compressed: pictures are already."""
    names = work.unique([(task.source.within, task.result.name, task.offer.name) for task in tasks])
    sink = _Sink()
    with zipfile.ZipFile(sink, "w") as archive:
        for task, name in zip(tasks, names, strict=True):
            with contextlib.suppress(FileNotFoundError), open(task.result, "rb") as file:  # may be removed meanwhile
                with archive.open(zipfile.ZipInfo.from_file(task.result, name), "w", force_zip64=True) as entry:
                    while part := file.read(_PART):
                        entry.write(part)
                        yield sink.taken()
    yield sink.taken()

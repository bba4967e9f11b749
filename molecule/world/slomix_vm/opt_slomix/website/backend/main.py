"""The website's backend. Served by uvicorn as `backend.main:app`."""

import psycopg
from backend.api import router
from backend.db import open_database
from fastapi import FastAPI
from fastapi.responses import JSONResponse

app = FastAPI(title="Slomix", docs_url=None, redoc_url=None)
app.include_router(router, prefix="/api")


@app.get("/health")
async def health():
    try:
        async with open_database() as database:
            await database.fetch_one("SELECT 1 AS one")
    except psycopg.Error as e:
        return JSONResponse({"status": "degraded", "database": type(e).__name__}, status_code=503)
    return {"status": "ok", "database": "ok"}

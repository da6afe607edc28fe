"""Of `tuner compare`, and what report.html says of a trial's line."""

from __future__ import annotations

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "{one} and {other}": "{one} и {other}",
    "{one} and of {other}": "{one} и {other}",
    "{low} to {high}": "от {low} до {high}",
    " or ": " или ",
    "What was searched": "Что искали",
    "On what data": "На каких данных",
    "How it was run": "Как запускали",
    "Not ranked.": "Не сравниваются по местам.",
    "unknown": "неизвестно",
    "{one} has data {its} and {other} has data {others}: scores on other images, labels or splits cannot be ranked": (
        "У {one} данные {its}, у {other} данные {others}: оценки на других изображениях, метках или разбиениях нельзя "
        "ставить в один ряд"
    ),
    "{one} has objective {its} and {other} has objective {others}: they cannot be ranked": (
        "У {one} цель {its}, у {other} цель {others}: их нельзя ставить в один ряд"
    ),
    "Both have the same {metric} on validation.": "На валидации {metric} у обоих одинаково.",
    "Both have no common {metric} on validation.": "На валидации у обоих нет общей метрики {metric}.",
    "{search} has the better {metric} on validation, by {change}": (
        "На валидации {metric} лучше у {search}, на {change}"
    ),
    "; whether by more than chance is not known, for want of predictions of the same images.": (
        "; случайно ли это, неизвестно: нет предсказаний на одних и тех же изображениях."
    ),
    ", but the two are **not told apart**: the interval of the difference holds 0.": (
        ", но различие **незначимо**: интервал разности содержит 0."
    ),
    ", and the interval of the difference leaves out 0.": "; интервал разности не содержит 0.",
    "Scores of the best": "Метрики лучших",
    "split": "выборка",
    "95 % interval of the change": "95 % интервал разности",
    "The interval is of a paired bootstrap over the same images: {images}.": (
        "Интервал — по парному бутстрепу на одних и тех же изображениях: {images}."
    ),
    "Validation flatters what was chosen by it: the best of {counts} trials.": (
        "Валидация завышает оценку того, что по ней выбрано: здесь это лучшие (испытаний: {counts})."
    ),
    "Configs": "Конфигурации",
    "Equal: {fields}.": "Совпадают: {fields}.",
    ", of which only here: {labels}": ", из них только здесь: {labels}",
    "when {field} {values}": "при {field} {values}",
    "No difference: {what}.": "Без различий: {what}.",
    "The space of {searches} is not at hand: only what both say is compared.": (
        "Пространство поиска недоступно у {searches}: сравнивается только то, что известно об обоих."
    ),
    "Best trials of both": "Лучшие испытания обоих",
    "search": "поиск",
    "{trial}: {settings}; {value} at epoch {epoch:g}, {status}": (
        "{trial}: {settings}; {value} на эпохе {epoch:g}, {status}"
    ),
}

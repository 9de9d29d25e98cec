"""XMP packets made to fit a picture of another size that carries nothing beside its pixels, and say what made it."""

import re
from xml.dom import minidom
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

_XMLNS = "http://www.w3.org/2000/xmlns/"
_GOOGLE, _ADOBE = "http://ns.google.com/photos/1.0/", "http://ns.adobe.com/"
_RDF, _OWN = "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "urn:jsr:1"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"

# What speaks of data that does not come along: {namespace: pattern of the properties}.
_GONE = {
    **dict.fromkeys((f"{_ADOBE}hdr-gain-map/1.0/", "http://ns.apple.com/HDRGainMap/1.0/",
                     "http://ns.apple.com/pixeldatainfo/1.0/", f"{_GOOGLE}container/", f"{_GOOGLE}container/item/",
                     f"{_GOOGLE}depthmap/", f"{_GOOGLE}image/", f"{_GOOGLE}audio/", f"{_GOOGLE}creations/",
                     "http://ns.google.com/photos/dd/1.0/device/", "http://ns.google.com/photos/dd/1.0/container/",
                     "http://ns.google.com/photos/dd/1.0/item/", "http://ns.xiaomi.com/photos/1.0/camera/",
                     "http://ns.oplus.com/photos/1.0/camera/"), r".*"),
    f"{_GOOGLE}camera/": r"(?:MotionPhoto|MicroVideo).*",
    f"{_ADOBE}xmp/note/": r"HasExtendedXMP",
    "http://purl.org/dc/terms/": r"provenance",  # of C2PA
}
_PANORAMA = f"{_GOOGLE}panorama/"
# Places in the picture as it is stored, which turning makes untrue.
_PLACES = {
    _PANORAMA: r".*", "http://www.metadataworkinggroup.com/schemas/regions/": r"Regions",
    "http://ns.microsoft.com/photo/1.2/": r"RegionInfo", f"{_ADOBE}exif/1.0/": r"Subject(?:Area|Location)",
    _IPTC: r"ImageRegion",
}
# Lengths in px where a property beside them says so: {namespace: (properties across, properties down, unit)}.
_LENGTHS = {
    f"{_ADOBE}xap/1.0/sType/Dimensions#": (r"w", r"h", "unit"),
    _IPTC: (r"rb(?:X|W|Rx)", r"rb(?:Y|H)", "rbUnit"),
}

_PACKET = ('<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
           f'<rdf:RDF xmlns:rdf="{_RDF}"></rdf:RDF></x:xmpmeta><?xpacket end="w"?>').encode()
_MARK = re.compile(rb"<jsrrdf:Description [^>]*/>")  # a prefix of its own: a packet may call RDF's namespace anything


def marked(packet, made):
    """An XMP packet that says what made the picture; what it said of that before is gone.

    Args:
      packet: bytes, or None.
      made: {name: text}, names as of XML.

    Returns:
      bytes, or None of a packet that has no place for it.
    """
    words = " ".join(f"jsr:{name}={quoteattr(text, {'>': '&gt;'})}" for name, text in made.items())
    mark = f'<jsrrdf:Description xmlns:jsrrdf="{_RDF}" jsrrdf:about="" xmlns:jsr="{_OWN}" {words}/>'.encode()
    packet = _MARK.sub(b"", packet or _PACKET)
    end = re.search(rb"</(?:[\w.-]+:)?RDF\s*>", packet)
    return packet[:end.start()] + mark + packet[end.start():] if end else None


def made(data):
    """The {name: text} that `marked` has put into a packet, or into a file that holds one as it is; None without."""
    if not (found := _MARK.search(data)):
        return None
    try:
        mark = minidom.parseString(found[0]).documentElement
    except (expat.ExpatError, ValueError):
        return None
    return {attribute.localName: attribute.value for attribute in _attributes(mark) if attribute.namespaceURI == _OWN}


def fitted(packet, before, after, *, turned=False):
    """An XMP packet for upright pixels of another size.

    Orientation becomes 1; sizes and places in px, as of panoramas and regions, grow; what speaks of gain maps, videos
    and other data outside the pixels goes, and where the picture was turned places within it too.

    Args:
      packet: bytes.
      before, after: (height, width) of the upright picture and of the one to be written, px.
      turned: whether the stored pixels were turned upright.

    Returns:
      (bytes, or None of a packet that is damaged and speaks of such things; the prefixes of what went, sorted).
    """
    height, width = after
    values = {b"tiff:Orientation": 1, b"tiff:ImageWidth": width, b"tiff:ImageLength": height,
              b"exif:PixelXDimension": width, b"exif:PixelYDimension": height}
    for name, value in values.items():
        packet = re.sub(rb"(" + name + rb"\s*(?:=\s*[\"']|>)\s*)\d+", rb"\g<1>%d" % value, packet)
    gone = {**_GONE, **(_PLACES if turned else {})}
    if not any(uri.encode() in packet for uri in {**gone, **_LENGTHS, _PANORAMA: ""}):
        return packet, []
    try:
        if b"<!" in packet.replace(b"<!--", b""):
            raise expat.ExpatError("entities of its own")
        document = minidom.parseString(packet.strip(b"\0"))
    except (expat.ExpatError, ValueError, LookupError):
        return None, []
    went = set()
    _remove(document, gone, went)
    _scale(document, after[1] / before[1], after[0] / before[0])
    return "".join(node.toxml() for node in document.childNodes).encode(), sorted(went)


def _is_of(node, names):
    pattern = names.get(node.namespaceURI)
    return pattern is not None and re.fullmatch(pattern, node.localName) is not None


def _attributes(node):
    return list((node.attributes or {}).values()) if node.nodeType == node.ELEMENT_NODE else []


def _remove(node, gone, went):
    for attribute in _attributes(node):
        # A program may look for no more than the namespace.
        is_name = attribute.namespaceURI == _XMLNS and gone.get(attribute.value) == ".*"
        if is_name or _is_of(attribute, gone):
            went |= {attribute.localName if is_name else attribute.prefix or attribute.localName}
            node.removeAttributeNode(attribute)
    for child in list(node.childNodes):
        if child.nodeType == child.ELEMENT_NODE and _is_of(child, gone):
            went.add(child.prefix or child.localName)
            node.removeChild(child)
        else:
            _remove(child, gone, went)


def _scale(node, across, down):
    for one in [*_attributes(node), *(child for child in node.childNodes if child.nodeType == child.ELEMENT_NODE)]:
        if one.namespaceURI == _PANORAMA:
            is_across, is_down = (re.search(words, one.localName) for words in ("Width|Left", "Height|Top"))
        elif one.namespaceURI in _LENGTHS:
            names = _LENGTHS[one.namespaceURI]
            in_px = _value(node, one.namespaceURI, names[2]) == "pixel"
            is_across, is_down = (in_px and re.fullmatch(name, one.localName) for name in names[:2])
        else:
            continue
        if is_across or is_down:
            _multiply(one, across if is_across else down)
    for child in node.childNodes:
        _scale(child, across, down)


def _value(node, uri, name):
    """The text of a property of a node, as an attribute or an element; "" where it has none."""
    if found := node.getAttributeNS(uri, name):
        return found
    return "".join(text.data for child in node.childNodes if child.namespaceURI == uri and child.localName == name
                   for text in child.childNodes if text.nodeType == text.TEXT_NODE).strip()


def _multiply(one, factor):
    is_attribute = one.nodeType == one.ATTRIBUTE_NODE
    texts = [one] if is_attribute else [text for text in one.childNodes if text.nodeType == text.TEXT_NODE]
    for text in texts:
        value = text.value if is_attribute else text.data
        if re.fullmatch(r"\s*\d+(?:\.\d*)?\s*", value):
            value = str(round(float(value) * factor))
            if is_attribute:
                text.value = value
            else:
                text.data = value

"""stub"""
def vco_control(a,b): return []
